//! The last transaction of an attempt: does what the bank has decided, unless a later attempt has begun.

use std::slice;

use chrono::{SubsecRound, Utc};
use events::Encoder;
use futures::try_join;
use outbox::AppendError;
use pg::Tx;
use tracing::Span;

use super::{LOCK_WAIT, begin::Call, error::AttemptError};
use crate::{
    domain::{Books, Decision, Settled, Transfer},
    store, transfer_events,
};

pub(super) struct End<'a> {
    pub(super) encoder: &'a Encoder,
    pub(super) call: &'a Call,
    pub(super) decision: Decision,
}

impl End<'_> {
    /// Returns the state of the transfer, or `None` if a later attempt has it.
    pub(super) async fn run(&self, tx: &Tx<'_>) -> Result<Option<&'static str>, AttemptError> {
        let attempt = self.call.attempt;
        Box::pin(self.settle(tx)).await.map_err(|cause| AttemptError { attempt: Some(attempt), cause })
    }

    async fn settle(&self, tx: &Tx<'_>) -> Result<Option<&'static str>, AppendError> {
        let Call { attempt, transfer, span, .. } = self.call;
        if !store::settlements::lock(tx, *attempt, LOCK_WAIT).await? {
            return Ok(None);
        }
        let mut books = store::accounts::lock_all(tx, &transfer.accounts()).await?;
        fail_point::hit("ledger.settlement.locked");
        let settled = books.settle(transfer.clone(), self.decision, Utc::now().trunc_subsecs(6));
        let settled = settled.expect("`lock_all` has returned every account");
        Box::pin(write(tx, &books, &settled, (self.encoder, span))).await?;
        Ok(Some(settled.state.outcome.state().as_str()))
    }
}

/// Writes the end of a transfer. Its event continues the trace of the span.
pub(super) async fn write(
    tx: &Tx<'_>,
    books: &Books,
    settled: &Transfer<Settled>,
    (encoder, span): (&Encoder, &Span),
) -> Result<(), AppendError> {
    let events = span.in_scope(|| transfer_events::settled(encoder, settled))?;
    let transfers = slice::from_ref(settled);
    let post = async {
        store::postings::insert(tx, transfers).await?;
        fail_point::hit("ledger.settlement.posted");
        Ok(())
    };
    let balances = async {
        store::accounts::update_balances(tx, books).await?;
        fail_point::hit("ledger.settlement.balanced");
        Ok(())
    };
    try_join!(
        post,
        balances,
        store::transfers::update_settled(tx, transfers),
        store::transfers::update_reversed(tx, transfers),
        outbox::append_all(tx, encoder, &events),
        store::settlements::end(tx, settled.details.id),
    )?;
    fail_point::hit("ledger.settlement.before_commit");
    Ok(())
}
