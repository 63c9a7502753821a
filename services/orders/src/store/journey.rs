//! How long orders take to their final state.

use chrono::{DateTime, Duration, Utc};
use pg::{Columns as _, Error, Pool};
use uuid::Uuid;

/// Orders without a final state.
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

/// The partial index on what is due holds these orders and no others. The ids of the oldest orders are the lowest (UUIDv7), so only one
/// row of `orders` is looked up: a join with it may be planned as a scan of all orders, every second.
const UNFINISHED: &str = "\
SELECT unfinished, overdue, (SELECT placed_at FROM orders WHERE id = open.first_id) AS oldest
FROM (
    SELECT count(*) AS unfinished, count(*) FILTER (WHERE order_id < $1) AS overdue, min(order_id::text)::uuid AS first_id
    FROM order_process WHERE step <> 'done'
) AS open";

/// Ids begin with the time at which they were made (UUIDv7), so the primary key finds the orders of a second.
const DUE: &str = "\
SELECT count(*) AS due,
    count(*) FILTER (WHERE state = 'pending' OR updated_at > placed_at + make_interval(secs => $3)) AS late
FROM orders WHERE id >= $1 AND id < $2";

/// Looks for orders that are not final, and those of them that were placed before `overdue`.
pub(crate) async fn unfinished(pool: &Pool, overdue: DateTime<Utc>) -> Result<Unfinished, Error> {
    let row = pg::query_opt(pool, "count_unfinished_orders", UNFINISHED, &[&first_id(overdue)]).await?;
    let Some(row) = row else { return Ok(Unfinished { count: 0, overdue: 0, oldest: None }) };
    Ok(Unfinished {
        count: row.column("unfinished")?,
        overdue: row.column("overdue")?,
        oldest: row.column("oldest")?,
    })
}

/// Counts the orders that were placed from one time on and before another, and those of them that were not final in time.
pub(crate) async fn due(
    pool: &Pool,
    from: DateTime<Utc>,
    before: DateTime<Utc>,
    final_within: Duration,
) -> Result<Counted, Error> {
    let (first, end, within) = (first_id(from), first_id(before), final_within.as_seconds_f64());
    let row = pg::query_opt(pool, "count_due_orders", DUE, &[&first, &end, &within]).await?;
    let Some(row) = row else { return Ok(Counted { due: 0, late: 0 }) };
    let (due, late): (i64, i64) = (row.column("due")?, row.column("late")?);
    Ok(Counted { due: due.unsigned_abs(), late: late.unsigned_abs() })
}

/// The lowest id of a millisecond.
fn first_id(at: DateTime<Utc>) -> Uuid {
    let millis = at.timestamp_millis().unsigned_abs();
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
