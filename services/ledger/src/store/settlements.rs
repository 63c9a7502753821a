//! The table `settlements`: one row for each pending transfer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::try_join;
use pg::{Columns as _, Error, Pool, Row, Tx};
use telemetry::trace::Propagation;
use uuid::Uuid;

use super::transfers;
use crate::domain::{Pending, Transfer};

/// A pending transfer, whose rows this transaction has locked.
pub(crate) struct Claim {
    pub(crate) transfer_id: Uuid,
    pub(crate) attempts: i32,
    pub(crate) propagation: Propagation,
    row: Row,
}

impl Claim {
    /// Reads the transfer. Reading is separate from the claim, so a transfer that this release cannot read does not block the others.
    pub(crate) fn transfer(&self) -> Result<Transfer<Pending>, Error> {
        let (row, state) = (&self.row, Pending);
        Ok(Transfer { details: transfers::details(row)?, version: row.column("version")?, state })
    }
}

/// Transfers that are not settled.
pub(crate) struct Backlog {
    pub(crate) count: i64,
    pub(crate) oldest: Option<DateTime<Utc>>,
}

const INSERT: &str = "\
INSERT INTO settlements (transfer_id, due_at, traceparent, tracestate, baggage) VALUES ($1, now(), $2, $3, $4)";

/// Sets the lock timeout of the transaction, and forces plans that use the indexes: PostgreSQL keeps a plan that it made while the tables
/// were almost empty, and that plan would scan them when they are large.
const LIMIT_WAITS: &str = "\
SELECT set_config('lock_timeout', $1, true), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)";

/// The row locks are the claim: they end with the transaction, also when its process dies.
macro_rules! claim {
    ($which:literal) => {
        concat!(
            "SELECT s.transfer_id, s.attempts, s.traceparent, s.tracestate, s.baggage,
    t.id, t.tenant, t.source, t.destination, t.amount, t.currency, t.reference, t.reverses, t.version, t.created_at
FROM settlements AS s JOIN transfers AS t ON t.id = s.transfer_id
WHERE t.state = 'pending' AND ",
            $which,
            " FOR NO KEY UPDATE OF s, t SKIP LOCKED"
        )
    };
}

const CLAIM_DUE: &str = claim!("s.due_at <= now() ORDER BY s.due_at LIMIT $1");
const CLAIM_ONE: &str = claim!("s.transfer_id = $1");

const END: &str = "DELETE FROM settlements WHERE transfer_id = ANY($1)";

/// The delay doubles with every failure up to its maximum, with jitter of up to a half, so that transfers that failed together are not tried
/// together. Skips a row that another transaction has locked: it settles the transfer.
const RECORD_FAILURE: &str = "\
UPDATE settlements SET attempts = attempts + 1,
    due_at = now() + least(make_interval(secs => $2) * power(2, least(attempts, 20)), make_interval(secs => $3)) * (0.5 + random() / 2)
WHERE transfer_id = (SELECT transfer_id FROM settlements WHERE transfer_id = $1 FOR UPDATE SKIP LOCKED)";

/// Ids of older transfers are lower (UUIDv7), so only one row of `transfers` is read.
const COUNT: &str = "\
SELECT count, (SELECT created_at FROM transfers WHERE id = waiting.first_id) AS oldest
FROM (SELECT count(*) AS count, min(transfer_id::text)::uuid AS first_id FROM settlements) AS waiting";

pub(crate) async fn insert(tx: &Tx<'_>, transfer_id: Uuid, propagation: &Propagation) -> Result<(), Error> {
    let Propagation { traceparent, tracestate, baggage } = propagation;
    tx.execute_exactly(1, INSERT, &[&transfer_id, traceparent, tracestate, baggage]).await
}

/// Claims up to `limit` due transfers, those that have been due for longest first. Sets the lock timeout of the transaction to `lock_wait`.
pub(crate) async fn claim_due(tx: &Tx<'_>, limit: i64, lock_wait: Duration) -> Result<Vec<Claim>, Error> {
    let ((), rows) = try_join(limit_waits(tx, lock_wait), tx.query(CLAIM_DUE, &[&limit])).await?;
    rows.into_iter().map(claim).collect()
}

/// Claims one transfer; returns nothing if another transaction has locked it, or if it is settled.
pub(crate) async fn claim_one(
    tx: &Tx<'_>,
    transfer_id: Uuid,
    lock_wait: Duration,
) -> Result<Vec<Claim>, Error> {
    let ((), rows) = try_join(limit_waits(tx, lock_wait), tx.query(CLAIM_ONE, &[&transfer_id])).await?;
    rows.into_iter().map(claim).collect()
}

async fn limit_waits(tx: &Tx<'_>, lock_wait: Duration) -> Result<(), Error> {
    tx.query_one(LIMIT_WAITS, &[&lock_wait.as_millis().to_string()]).await.map(drop)
}

fn claim(row: Row) -> Result<Claim, Error> {
    Ok(Claim {
        transfer_id: row.column("transfer_id")?,
        attempts: row.column("attempts")?,
        propagation: Propagation {
            traceparent: row.column("traceparent")?,
            tracestate: row.column("tracestate")?,
            baggage: row.column("baggage")?,
        },
        row,
    })
}

/// Ends the wait of these transfers, which this transaction has claimed.
pub(crate) async fn end(tx: &Tx<'_>, transfer_ids: &[Uuid]) -> Result<(), Error> {
    tx.execute_exactly(transfer_ids.len() as u64, END, &[&transfer_ids]).await
}

/// Counts a failure of a transfer, and makes it due after a pause that grows from `first` to `longest`.
pub(crate) async fn record_failure(
    pool: &Pool,
    transfer_id: Uuid,
    first: Duration,
    longest: Duration,
) -> Result<(), Error> {
    let params: [&(dyn pg::types::ToSql + Sync); 3] =
        [&transfer_id, &first.as_secs_f64(), &longest.as_secs_f64()];
    pg::write_opt(pool, "note_failed_settlement", RECORD_FAILURE, &params).await.map(drop)
}

/// Counts the pending transfers.
pub(crate) async fn count(pool: &Pool) -> Result<Backlog, Error> {
    let row = pg::query_opt(pool, "count_pending_transfers", COUNT, &[]).await?;
    let Some(row) = row else { return Ok(Backlog { count: 0, oldest: None }) };
    Ok(Backlog { count: row.column("count")?, oldest: row.column("oldest")? })
}
