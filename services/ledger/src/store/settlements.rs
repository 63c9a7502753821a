//! The table `settlements`: one row for each pending transfer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::try_join;
use pg::{Columns as _, Error, Pool, Row, Tx, types::ToSql};
use telemetry::trace::Propagation;
use uuid::Uuid;

use super::transfers;
use crate::domain::Transfer;

/// A due transfer, whose rows this transaction has locked.
pub(crate) struct Claim {
    pub(crate) transfer_id: Uuid,
    pub(crate) attempts: i32,
    /// Whether the bank may know the transfer.
    pub(crate) is_instructed: bool,
    /// That of the last claim.
    pub(crate) fence: i64,
    due_at: DateTime<Utc>,
    pub(crate) propagation: Propagation,
    row: Row,
}

impl Claim {
    /// The attempt with this fence.
    pub(crate) fn attempt(&self, fence: i64) -> Attempt {
        Attempt { transfer_id: self.transfer_id, fence, due_at: self.due_at }
    }

    /// Reads the transfer, in the state that `is_instructed` says. Reading is separate from the claim, so a transfer that this release cannot
    /// read does not block the others.
    pub(crate) fn transfer<S>(&self, state: S) -> Result<Transfer<S>, Error> {
        Ok(Transfer { details: transfers::details(&self.row)?, version: self.row.column("version")?, state })
    }
}

/// An attempt to settle a transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) transfer_id: Uuid,
    /// It writes only while the row has this fence.
    pub(crate) fence: i64,
    /// When it was due. Another time in the row means that the transfer was woken since then.
    due_at: DateTime<Utc>,
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

/// Skips what other transactions have locked: they work on it.
const CLAIM: &str = "\
SELECT s.transfer_id, s.attempts, s.instructed_at IS NOT NULL AS is_instructed, s.fence, s.due_at,
    s.traceparent, s.tracestate, s.baggage,
    t.id, t.tenant, t.source, t.destination, t.amount, t.currency, t.reference, t.reverses, t.version, t.created_at
FROM settlements AS s JOIN transfers AS t ON t.id = s.transfer_id
WHERE t.state = 'pending' AND s.due_at <= now() AND (s.lease_until IS NULL OR s.lease_until <= now())
ORDER BY s.due_at LIMIT 1 FOR NO KEY UPDATE OF s, t SKIP LOCKED";

/// By the clock of the database, as every lease.
const LEASE: &str = "\
UPDATE settlements
SET fence = fence + 1, lease_until = clock_timestamp() + make_interval(secs => $2), instructed_at = coalesce(instructed_at, now())
WHERE transfer_id = $1
RETURNING fence";

/// Without a row, a later attempt has the transfer, or has settled it.
const LOCK: &str = "\
SELECT s.fence FROM settlements AS s JOIN transfers AS t ON t.id = s.transfer_id
WHERE s.transfer_id = $1 AND s.fence = $2 FOR NO KEY UPDATE OF s, t";

const END: &str = "DELETE FROM settlements WHERE transfer_id = $1";

/// The pause doubles with every attempt up to its maximum, with jitter of up to a half, so that transfers that were tried together are not tried
/// together again. A transfer that was woken during the attempt stays due.
const POSTPONE: &str = "\
UPDATE settlements SET attempts = attempts + 1, lease_until = NULL,
    due_at = CASE WHEN due_at = $3
        THEN now() + least(make_interval(secs => $4) * power(2, least(attempts, 20)), make_interval(secs => $5)) * (0.5 + random() / 2)
        ELSE due_at END
WHERE transfer_id = $1 AND fence = $2";

const WAKE: &str = "UPDATE settlements SET due_at = now() WHERE transfer_id = $1";

/// Ids of older transfers are lower (UUIDv7), so only one row of `transfers` is read.
const COUNT: &str = "\
SELECT count, (SELECT created_at FROM transfers WHERE id = waiting.first_id) AS oldest
FROM (SELECT count(*) AS count, min(transfer_id::text)::uuid AS first_id FROM settlements) AS waiting";

pub(crate) async fn insert(tx: &Tx<'_>, transfer_id: Uuid, propagation: &Propagation) -> Result<(), Error> {
    let Propagation { traceparent, tracestate, baggage } = propagation;
    tx.execute_exactly(1, INSERT, &[&transfer_id, traceparent, tracestate, baggage]).await
}

/// Claims the transfer that has been due for longest. Sets the lock timeout of the transaction to `lock_wait`.
pub(crate) async fn claim(tx: &Tx<'_>, lock_wait: Duration) -> Result<Option<Claim>, Error> {
    let ((), row) = try_join(limit_waits(tx, lock_wait), tx.query_opt(CLAIM, &[])).await?;
    row.map(read).transpose()
}

/// Begins an attempt of a claimed transfer, which from now on the bank may know; returns its fence.
pub(crate) async fn lease(tx: &Tx<'_>, transfer_id: Uuid, length: Duration) -> Result<i64, Error> {
    tx.query_one(LEASE, &[&transfer_id, &length.as_secs_f64()]).await?.column("fence")
}

/// Locks a transfer if this is still its last attempt; returns whether it is. Sets the lock timeout of the transaction to `lock_wait`.
pub(crate) async fn lock(tx: &Tx<'_>, attempt: Attempt, lock_wait: Duration) -> Result<bool, Error> {
    let params: [&(dyn ToSql + Sync); 2] = [&attempt.transfer_id, &attempt.fence];
    let ((), row) = try_join(limit_waits(tx, lock_wait), tx.query_opt(LOCK, &params)).await?;
    Ok(row.is_some())
}

async fn limit_waits(tx: &Tx<'_>, lock_wait: Duration) -> Result<(), Error> {
    tx.query_one(LIMIT_WAITS, &[&lock_wait.as_millis().to_string()]).await.map(drop)
}

fn read(row: Row) -> Result<Claim, Error> {
    Ok(Claim {
        transfer_id: row.column("transfer_id")?,
        attempts: row.column("attempts")?,
        is_instructed: row.column("is_instructed")?,
        fence: row.column("fence")?,
        due_at: row.column("due_at")?,
        propagation: Propagation {
            traceparent: row.column("traceparent")?,
            tracestate: row.column("tracestate")?,
            baggage: row.column("baggage")?,
        },
        row,
    })
}

/// Ends the wait of a transfer, which this transaction has locked.
pub(crate) async fn end(tx: &Tx<'_>, transfer_id: Uuid) -> Result<(), Error> {
    tx.execute_exactly(1, END, &[&transfer_id]).await
}

/// Ends an attempt that did not settle its transfer. The next one is due after a pause that grows from `first` to `longest`.
pub(crate) async fn postpone(
    pool: &Pool,
    attempt: Attempt,
    first: Duration,
    longest: Duration,
) -> Result<(), Error> {
    let Attempt { transfer_id, fence, due_at } = attempt;
    let params: [&(dyn ToSql + Sync); 5] =
        [&transfer_id, &fence, &due_at, &first.as_secs_f64(), &longest.as_secs_f64()];
    pg::write_opt(pool, "postpone_settlement", POSTPONE, &params).await.map(drop)
}

/// Makes a transfer due at once if it is pending.
pub(crate) async fn wake(pool: &Pool, transfer_id: Uuid) -> Result<(), Error> {
    pg::write_opt(pool, "wake_settlement", WAKE, &[&transfer_id]).await.map(drop)
}

/// Counts the pending transfers.
pub(crate) async fn count(pool: &Pool) -> Result<Backlog, Error> {
    let row = pg::query_opt(pool, "count_pending_transfers", COUNT, &[]).await?;
    let Some(row) = row else { return Ok(Backlog { count: 0, oldest: None }) };
    Ok(Backlog { count: row.column("count")?, oldest: row.column("oldest")? })
}
