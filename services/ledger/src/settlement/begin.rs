//! The first transaction of an attempt: claims a due transfer, and decides whether the bank is called.

use chrono::{SubsecRound, Utc};
use events::Encoder;
use futures::try_join;
use outbox::AppendError;
use pg::Tx;
use tracing::Span;

use super::{LEASE, LOCK_WAIT, end, error::AttemptError};
use crate::{
    domain::{Checked, Instructed, Pending, Transfer},
    store::{
        self,
        settlements::{Attempt, Claim},
    },
};

pub(super) struct Begin<'a> {
    pub(super) encoder: &'a Encoder,
}

pub(super) enum Begun {
    /// No transfer is due.
    Idle,
    /// The transfer has failed, and the bank does not know it.
    Failed,
    /// The bank can be called under the lease.
    Leased(Box<Call>),
}

/// A call to the bank.
pub(super) struct Call {
    pub(super) attempt: Attempt,
    pub(super) transfer: Transfer<Instructed>,
    /// Whether no earlier attempt may have instructed the bank.
    pub(super) is_first: bool,
    /// Continues the trace of the request that made the transfer.
    pub(super) span: Span,
}

impl Begin<'_> {
    pub(super) async fn run(&self, tx: &Tx<'_>) -> Result<Begun, AttemptError> {
        let Some(claim) = store::settlements::claim(tx, LOCK_WAIT).await? else { return Ok(Begun::Idle) };
        fail_point::hit("ledger.settlement.claimed");
        let begun =
            if claim.is_instructed { self.poll(tx, &claim).await } else { self.check(tx, &claim).await };
        begun.map_err(|cause| AttemptError { attempt: Some(claim.attempt(claim.fence)), cause })
    }

    async fn poll(&self, tx: &Tx<'_>, claim: &Claim) -> Result<Begun, AppendError> {
        let transfer = claim.transfer(Instructed)?;
        Ok(lease(tx, claim, transfer, span(claim)).await?)
    }

    async fn check(&self, tx: &Tx<'_>, claim: &Claim) -> Result<Begun, AppendError> {
        let transfer = claim.transfer(Pending)?;
        let mut books = store::accounts::lock_all(tx, &transfer.accounts()).await?;
        fail_point::hit("ledger.settlement.checked");
        let checked = books.instruct(transfer, Utc::now().trunc_subsecs(6));
        let span = span(claim);
        match checked.expect("`lock_all` has returned every account") {
            Checked::Fit(transfer) => {
                let reserve = store::accounts::update_balances(tx, &books);
                let ((), begun) = try_join!(reserve, lease(tx, claim, transfer, span))?;
                fail_point::hit("ledger.settlement.reserved");
                Ok(begun)
            }
            Checked::Unfit(failed) => {
                let writing = end::write(tx, &books, &failed, (self.encoder, &span));
                Box::pin(writing).await?;
                Ok(Begun::Failed)
            }
        }
    }
}

async fn lease(
    tx: &Tx<'_>,
    claim: &Claim,
    transfer: Transfer<Instructed>,
    span: Span,
) -> Result<Begun, pg::Error> {
    let fence = store::settlements::lease(tx, claim.transfer_id, LEASE).await?;
    let (attempt, is_first) = (claim.attempt(fence), !claim.is_instructed);
    Ok(Begun::Leased(Box::new(Call { attempt, transfer, is_first, span })))
}

fn span(claim: &Claim) -> Span {
    let span = tracing::info_span!("settle", transfer.id = %claim.transfer_id, attempt = claim.attempts + 1);
    claim.propagation.set_parent(&span);
    span
}
