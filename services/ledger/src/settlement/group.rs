//! One transaction of the settlement: claims due transfers and settles them.

use std::{collections::BTreeSet, time::Duration};

use chrono::{SubsecRound, Utc};
use events::Encoder;
use futures::try_join;
use outbox::AppendError;
use pg::Tx;
use tracing::Span;
use uuid::Uuid;

use super::error::GroupError;
use crate::{
    domain::{Books, Instruction, Pending, Settled, Transfer},
    store::{self, settlements::Claim},
    transfer_events,
};

/// Maximum number of transfers in a group: enough to share the cost of a transaction, few enough to finish within milliseconds.
const MAX_TRANSFERS: i64 = 32;

/// Lock timeout of each statement. Other transactions hold accounts for some milliseconds; longer locks are not waited for.
const LOCK_WAIT: Duration = Duration::from_millis(100);

pub(super) enum Selection {
    /// The transfers that have been due for longest.
    Due,
    One(Uuid),
}

pub(super) struct Group<'a> {
    pub(super) encoder: &'a Encoder,
    pub(super) selection: Selection,
}

pub(super) struct GroupResult {
    pub(super) n_claimed: usize,
    /// Outcomes by name, with the span of each transfer. The span ends when this value is dropped.
    pub(super) settled: Vec<(&'static str, Span)>,
}

impl Group<'_> {
    pub(super) async fn run(&self, tx: &Tx<'_>) -> Result<GroupResult, GroupError> {
        let claims = match self.selection {
            Selection::Due => store::settlements::claim_due(tx, MAX_TRANSFERS, LOCK_WAIT).await?,
            Selection::One(id) => store::settlements::claim_one(tx, id, LOCK_WAIT).await?,
        };
        if claims.is_empty() {
            return Ok(GroupResult { n_claimed: 0, settled: Vec::new() });
        }
        fail_point::hit("ledger.settlement.claimed");
        let transfers = claims.iter().map(|claim| claim.transfer_id).collect();
        Box::pin(self.settle(tx, claims)).await.map_err(|cause| GroupError { transfers, cause })
    }

    async fn settle(&self, tx: &Tx<'_>, claims: Vec<Claim>) -> Result<GroupResult, AppendError> {
        let pending: Vec<_> = claims.iter().map(Claim::transfer).collect::<Result<_, _>>()?;
        let mut books = store::accounts::lock_all(tx, &accounts(&pending)).await?;
        fail_point::hit("ledger.settlement.locked");
        let now = Utc::now().trunc_subsecs(6);
        let (mut settled, mut events, mut spans) = (vec![], vec![], vec![]);
        for (claim, transfer) in claims.iter().zip(pending) {
            let transfer = books.settle(transfer, now).expect("`lock_all` has returned every account");
            let span =
                tracing::info_span!("settle", transfer.id = %claim.transfer_id, attempt = claim.attempts + 1);
            claim.propagation.set_parent(&span);
            events.extend(span.in_scope(|| transfer_events::settled(self.encoder, &transfer))?);
            spans.push((transfer.state.outcome.state().as_str(), span));
            settled.push(transfer);
        }
        Box::pin(write(tx, &books, &settled, self.encoder, &events)).await?;
        fail_point::hit("ledger.settlement.before_commit");
        Ok(GroupResult { n_claimed: claims.len(), settled: spans })
    }
}

/// The accounts of these transfers, each once.
fn accounts(transfers: &[Transfer<Pending>]) -> Vec<Uuid> {
    let accounts: BTreeSet<Uuid> = transfers
        .iter()
        .flat_map(|transfer| {
            let Instruction { source, destination, .. } = transfer.details.instruction;
            [source, destination]
        })
        .collect();
    accounts.into_iter().collect()
}

async fn write(
    tx: &Tx<'_>,
    books: &Books,
    settled: &[Transfer<Settled>],
    encoder: &Encoder,
    events: &[outbox::Entry],
) -> Result<(), pg::Error> {
    let ids: Vec<Uuid> = settled.iter().map(|transfer| transfer.details.id).collect();
    let post = async {
        store::postings::insert(tx, settled).await?;
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
        store::transfers::update_settled(tx, settled),
        store::transfers::update_reversed(tx, settled),
        outbox::append_all(tx, encoder, events),
        store::settlements::end(tx, &ids),
    )
    .map(drop)
}
