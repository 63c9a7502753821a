//! The table `order_process`: one row for each order whose process has not ended, and counts of late orders.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::try_join;
use pg::{Columns as _, Error, Pool, Row, Tx};
use telemetry::trace::Propagation;
use uuid::Uuid;

use super::orders;
use crate::domain::{Order, Pending};

/// The current step of an order, whose rows this transaction has locked.
pub(crate) struct Step {
    pub(crate) order_id: Uuid,
    pub(crate) attempts: i32,
    pub(crate) propagation: Propagation,
    row: Row,
}

impl Step {
    /// Reads the order; `None` if it is final. Reading is separate from the claim, so an order that this release cannot read does not block
    /// the others.
    pub(crate) fn order(&self) -> Result<Option<Order<Pending>>, Error> {
        let is_pending: bool = self.row.column("is_pending")?;
        is_pending.then(|| orders::pending(&self.row)).transpose()
    }
}

pub(crate) struct Unfinished {
    pub(crate) count: i64,
    /// Those that were placed before a given time.
    pub(crate) overdue: i64,
    pub(crate) oldest: Option<DateTime<Utc>>,
}

/// Orders that reached the age at which they should be final.
pub(crate) struct Counted {
    pub(crate) due: u64,
    pub(crate) late: u64,
}

const INSERT: &str = "\
INSERT INTO order_process (order_id, step, due_at, traceparent, tracestate, baggage)
VALUES ($1, 'reserve_stock', now(), $2, $3, $4)";

/// Sets the lock timeout of the transaction, and forces plans that use the indexes: PostgreSQL keeps a plan that it made while the tables
/// were almost empty, and that plan would scan them when they are large.
const LIMIT_WAITS: &str = "\
SELECT set_config('lock_timeout', $1, true), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)";

/// The row locks are the claim: they end with the transaction, also when its process dies. The previous release claims by increasing
/// `due_at`, and skips locked rows. Steps of a newer release are not claimed.
macro_rules! claim {
    ($which:literal) => {
        concat!(
            "SELECT p.order_id, p.attempts, p.traceparent, p.tracestate, p.baggage, o.state = 'pending' AS is_pending,
    o.id, o.tenant, o.customer_email, o.total_minor, o.currency, o.version, o.placed_at,
    lines.skus, lines.names, lines.quantities, lines.prices
FROM order_process AS p JOIN orders AS o ON o.id = p.order_id
CROSS JOIN LATERAL (
    SELECT array_agg(sku ORDER BY line_no) AS skus, array_agg(name ORDER BY line_no) AS names,
        array_agg(quantity ORDER BY line_no) AS quantities, array_agg(unit_price_minor ORDER BY line_no) AS prices
    FROM order_lines AS l WHERE l.order_id = o.id) AS lines
WHERE p.step = 'reserve_stock' AND ",
            $which,
            " FOR UPDATE OF p, o SKIP LOCKED"
        )
    };
}

const CLAIM_DUE: &str = claim!("p.due_at <= now() ORDER BY p.due_at LIMIT $1");
const CLAIM_ONE: &str = claim!("p.order_id = $1");

const END: &str = "DELETE FROM order_process WHERE order_id = ANY($1) AND step = 'reserve_stock'";

/// Skips rows that another transaction has locked: it processes the order, so nothing has to change.
const POSTPONE: &str = "\
UPDATE order_process SET due_at = now() + make_interval(secs => free.delay)
FROM (
    SELECT p.order_id, aside.delay
    FROM unnest($1::uuid[], $2::float8[]) AS aside (order_id, delay) JOIN order_process AS p USING (order_id)
    WHERE p.step = 'reserve_stock' FOR UPDATE OF p SKIP LOCKED) AS free
WHERE order_process.order_id = free.order_id";

/// The delay doubles with every failure up to its maximum, with jitter of up to a half, so that orders that failed together are not tried
/// together. Skips a row that another transaction has locked: it processes the order.
const RECORD_FAILURE: &str = "\
UPDATE order_process SET attempts = attempts + 1,
    due_at = now() + least(make_interval(secs => $2) * power(2, least(attempts, 20)), make_interval(secs => $3)) * (0.5 + random() / 2)
WHERE order_id = (
    SELECT order_id FROM order_process WHERE order_id = $1 AND step = 'reserve_stock' FOR UPDATE SKIP LOCKED)";

/// The partial index on due steps contains exactly these orders. Ids of older orders are lower (UUIDv7), so only one row of `orders` is
/// read: PostgreSQL may plan a join with `orders` as a scan of the whole table, every second.
const COUNT_UNFINISHED: &str = "\
SELECT unfinished, overdue, (SELECT placed_at FROM orders WHERE id = open.first_id) AS oldest
FROM (
    SELECT count(*) AS unfinished, count(*) FILTER (WHERE order_id < $1) AS overdue, min(order_id::text)::uuid AS first_id
    FROM order_process WHERE step <> 'done'
) AS open";

/// Ids start with the time of their creation (UUIDv7), so the primary key finds the orders of a second.
const COUNT_DUE: &str = "\
SELECT count(*) AS due,
    count(*) FILTER (WHERE state = 'pending' OR updated_at > placed_at + make_interval(secs => $3)) AS late
FROM orders WHERE id >= $1 AND id < $2";

pub(crate) async fn insert(tx: &Tx<'_>, order_id: Uuid, propagation: &Propagation) -> Result<(), Error> {
    let Propagation { traceparent, tracestate, baggage } = propagation;
    tx.execute_exactly(1, INSERT, &[&order_id, traceparent, tracestate, baggage]).await
}

/// Claims up to `limit` due orders, those that have been due for longest first. Sets the lock timeout of the transaction to `lock_wait`.
pub(crate) async fn claim_due(tx: &Tx<'_>, limit: i64, lock_wait: Duration) -> Result<Vec<Step>, Error> {
    let ((), rows) = try_join(limit_waits(tx, lock_wait), tx.query(CLAIM_DUE, &[&limit])).await?;
    rows.into_iter().map(step).collect()
}

/// Claims one order; returns nothing if another transaction has locked it, or if its process has ended.
pub(crate) async fn claim_one(tx: &Tx<'_>, order_id: Uuid, lock_wait: Duration) -> Result<Vec<Step>, Error> {
    let ((), rows) = try_join(limit_waits(tx, lock_wait), tx.query(CLAIM_ONE, &[&order_id])).await?;
    rows.into_iter().map(step).collect()
}

async fn limit_waits(tx: &Tx<'_>, lock_wait: Duration) -> Result<(), Error> {
    tx.query_one(LIMIT_WAITS, &[&lock_wait.as_millis().to_string()]).await.map(drop)
}

fn step(row: Row) -> Result<Step, Error> {
    Ok(Step {
        order_id: row.column("order_id")?,
        attempts: row.column("attempts")?,
        propagation: Propagation {
            traceparent: row.column("traceparent")?,
            tracestate: row.column("tracestate")?,
            baggage: row.column("baggage")?,
        },
        row,
    })
}

/// Ends the process of these orders, which this transaction has claimed.
pub(crate) async fn end(tx: &Tx<'_>, order_ids: &[Uuid]) -> Result<(), Error> {
    if order_ids.is_empty() {
        return Ok(());
    }
    tx.execute_exactly(order_ids.len() as u64, END, &[&order_ids]).await
}

/// Makes each order due after its delay, without counting a failure.
pub(crate) async fn postpone(tx: &Tx<'_>, steps: &[(Uuid, Duration)]) -> Result<(), Error> {
    if steps.is_empty() {
        return Ok(());
    }
    let (order_ids, delays): (Vec<Uuid>, Vec<f64>) =
        steps.iter().map(|(order_id, delay)| (order_id, delay.as_secs_f64())).unzip();
    tx.execute(POSTPONE, &[&order_ids, &delays]).await.map(drop)
}

/// Counts a failure of an order, and makes it due after a pause that grows from `first` to `longest`.
pub(crate) async fn record_failure(
    pool: &Pool,
    order_id: Uuid,
    first: Duration,
    longest: Duration,
) -> Result<(), Error> {
    let params: [&(dyn pg::types::ToSql + Sync); 3] =
        [&order_id, &first.as_secs_f64(), &longest.as_secs_f64()];
    pg::write_opt(pool, "note_failed_step", RECORD_FAILURE, &params).await.map(drop)
}

/// Counts the orders that are not final, and those of them that were placed before `overdue`.
pub(crate) async fn count_unfinished(pool: &Pool, overdue: DateTime<Utc>) -> Result<Unfinished, Error> {
    let row = pg::query_opt(pool, "count_unfinished_orders", COUNT_UNFINISHED, &[&first_id(overdue)]).await?;
    let Some(row) = row else { return Ok(Unfinished { count: 0, overdue: 0, oldest: None }) };
    Ok(Unfinished {
        count: row.column("unfinished")?,
        overdue: row.column("overdue")?,
        oldest: row.column("oldest")?,
    })
}

/// Counts the orders that were placed at `from` or later and before `before`, and those of them that are late.
pub(crate) async fn count_due(
    pool: &Pool,
    from: DateTime<Utc>,
    before: DateTime<Utc>,
    final_within: chrono::Duration,
) -> Result<Counted, Error> {
    let (first, end, within) = (first_id(from), first_id(before), final_within.as_seconds_f64());
    let row = pg::query_opt(pool, "count_due_orders", COUNT_DUE, &[&first, &end, &within]).await?;
    let Some(row) = row else { return Ok(Counted { due: 0, late: 0 }) };
    let (due, late): (i64, i64) = (row.column("due")?, row.column("late")?);
    Ok(Counted { due: due.unsigned_abs(), late: late.unsigned_abs() })
}

/// The lowest id of a millisecond.
fn first_id(at: DateTime<Utc>) -> Uuid {
    let millis = at.timestamp_millis().unsigned_abs();
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
