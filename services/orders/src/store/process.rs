//! Where the process of each order stands. An order has a row here until its process has ended.

use std::time::Duration;

use futures::future::try_join;
use pg::{Columns as _, Error, Pool, Row, Tx};
use uuid::Uuid;

use super::orders;
use crate::domain::{Order, Pending};

/// A step of an order's process, whose rows this transaction has locked.
pub(crate) struct Step {
    pub(crate) order_id: Uuid,
    /// How often the step has failed.
    pub(crate) attempts: i32,
    pub(crate) traceparent: Option<String>,
    row: Row,
}

impl Step {
    /// Reads the order; `None` when it is not pending any more. One that this release cannot read is not in the way of others, and so
    /// it is not read before.
    pub(crate) fn order(&self) -> Result<Option<Order<Pending>>, Error> {
        let is_pending: bool = self.row.column("is_pending")?;
        is_pending.then(|| orders::pending(&self.row)).transpose()
    }
}

const INSERT: &str = "\
INSERT INTO order_process (order_id, step, due_at, traceparent) VALUES ($1, 'reserve_stock', now(), $2)";

/// How long each statement of the transaction waits for a lock. And plans of it go by the index, whatever the statistics say: a plan
/// that was made while the tables were empty, or nearly so, is kept, and would scan them when they are large.
const LIMIT_WAITS: &str = "\
SELECT set_config('lock_timeout', $1, true), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)";

/// Rows that somebody else has are somebody else's; the lock is the claim, and ends with the transaction whatever becomes of
/// its owner. The previous release claims by moving `due_at` on, and skips rows that are locked. Steps of a newer release are
/// left to it.
macro_rules! take {
    ($which:literal) => {
        concat!(
            "SELECT p.order_id, p.attempts, p.traceparent, o.state = 'pending' AS is_pending,
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

const TAKE_DUE: &str = take!("p.due_at <= now() ORDER BY p.due_at LIMIT $1");
const TAKE_ONE: &str = take!("p.order_id = $1");

const END: &str = "DELETE FROM order_process WHERE order_id = ANY($1) AND step = 'reserve_stock'";

/// Who has the row, if it is not this transaction, works on the order: nothing to change then.
const PUT_ASIDE: &str = "\
UPDATE order_process SET due_at = now() + make_interval(secs => free.delay)
FROM (
    SELECT p.order_id, aside.delay
    FROM unnest($1::uuid[], $2::float8[]) AS aside (order_id, delay) JOIN order_process AS p USING (order_id)
    WHERE p.step = 'reserve_stock' FOR UPDATE OF p SKIP LOCKED) AS free
WHERE order_process.order_id = free.order_id";

/// The delay doubles with every failure up to its bound, and differs by up to a half, so that orders that failed together are not tried
/// together. Who has the row works on the order: nothing to note then.
const NOTE_FAILURE: &str = "\
UPDATE order_process SET attempts = attempts + 1,
    due_at = now() + least(make_interval(secs => $2) * power(2, least(attempts, 20)), make_interval(secs => $3)) * (0.5 + random() / 2)
WHERE order_id = (
    SELECT order_id FROM order_process WHERE order_id = $1 AND step = 'reserve_stock' FOR UPDATE SKIP LOCKED)";

/// Begins the process of an order.
pub(crate) async fn insert(tx: &Tx<'_>, order_id: Uuid, traceparent: Option<&str>) -> Result<(), Error> {
    tx.execute_exactly(1, INSERT, &[&order_id, &traceparent]).await
}

/// Takes up to `limit` due steps, those that are due for longest first. The transaction waits for no lock longer than `lock_wait`.
pub(crate) async fn take_due(tx: &Tx<'_>, limit: i64, lock_wait: Duration) -> Result<Vec<Step>, Error> {
    let ((), rows) = try_join(limit_waits(tx, lock_wait), tx.query(TAKE_DUE, &[&limit])).await?;
    rows.into_iter().map(step).collect()
}

/// Takes the step of one order; none if somebody else has it, or if it has ended.
pub(crate) async fn take_one(tx: &Tx<'_>, order_id: Uuid, lock_wait: Duration) -> Result<Vec<Step>, Error> {
    let ((), rows) = try_join(limit_waits(tx, lock_wait), tx.query(TAKE_ONE, &[&order_id])).await?;
    rows.into_iter().map(step).collect()
}

async fn limit_waits(tx: &Tx<'_>, lock_wait: Duration) -> Result<(), Error> {
    tx.query_one(LIMIT_WAITS, &[&lock_wait.as_millis().to_string()]).await.map(drop)
}

fn step(row: Row) -> Result<Step, Error> {
    Ok(Step {
        order_id: row.column("order_id")?,
        attempts: row.column("attempts")?,
        traceparent: row.column("traceparent")?,
        row,
    })
}

/// Ends the process of these orders. Their steps were taken by this transaction.
pub(crate) async fn end(tx: &Tx<'_>, order_ids: &[Uuid]) -> Result<(), Error> {
    if order_ids.is_empty() {
        return Ok(());
    }
    tx.execute_exactly(order_ids.len() as u64, END, &[&order_ids]).await
}

/// Makes each step due after its delay, as if it had not been tried.
pub(crate) async fn put_aside(tx: &Tx<'_>, steps: &[(Uuid, Duration)]) -> Result<(), Error> {
    if steps.is_empty() {
        return Ok(());
    }
    let (order_ids, delays): (Vec<Uuid>, Vec<f64>) =
        steps.iter().map(|(order_id, delay)| (order_id, delay.as_secs_f64())).unzip();
    tx.execute(PUT_ASIDE, &[&order_ids, &delays]).await.map(drop)
}

/// Counts a failure of an order's step, which is due again after a pause that grows from `first` to `longest`.
pub(crate) async fn note_failure(
    pool: &Pool,
    order_id: Uuid,
    first: Duration,
    longest: Duration,
) -> Result<(), Error> {
    let params: [&(dyn pg::types::ToSql + Sync); 3] =
        [&order_id, &first.as_secs_f64(), &longest.as_secs_f64()];
    pg::write_opt(pool, "note_failed_step", NOTE_FAILURE, &params).await.map(drop)
}
