//! Where the process of each order stands.

use std::time::Duration;

use pg::{Columns as _, Error, Tx};
use uuid::Uuid;

/// A step that this process took a lease on.
pub(crate) struct DueStep {
    pub(crate) order_id: Uuid,
    pub(crate) attempts: i32,
    pub(crate) traceparent: Option<String>,
}

const INSERT: &str = "\
INSERT INTO order_process (order_id, step, due_at, traceparent) VALUES ($1, 'reserve_stock', now(), $2)";

/// Moving `due_at` on is the lease while the step is worked on, and the backoff when that fails: it doubles with every
/// attempt up to its bound. The clock is the database's, so replicas agree. Steps of a newer release are left to it.
const TAKE_DUE: &str = "\
UPDATE order_process SET attempts = attempts + 1,
    due_at = now() + least(make_interval(secs => $2) * power(2, least(attempts, 20)), make_interval(secs => $3))
WHERE order_id = ANY(ARRAY(
    SELECT order_id FROM order_process WHERE step = 'reserve_stock' AND due_at <= now()
    ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING order_id, attempts, traceparent";

const FINISH: &str = "UPDATE order_process SET step = 'done' WHERE order_id = $1 AND step = 'reserve_stock'";

/// Begins the process of an order.
pub(crate) async fn insert(tx: &Tx<'_>, order_id: Uuid, traceparent: Option<&str>) -> Result<(), Error> {
    tx.execute_exactly(1, INSERT, &[&order_id, &traceparent]).await
}

/// Takes up to `limit` due steps; nobody else sees them as due for `lease`, and longer after every failure.
pub(crate) async fn take_due(
    tx: &Tx<'_>,
    limit: i64,
    lease: Duration,
    max_backoff: Duration,
) -> Result<Vec<DueStep>, Error> {
    let rows = tx.query(TAKE_DUE, &[&limit, &lease.as_secs_f64(), &max_backoff.as_secs_f64()]).await?;
    let step = |row: &pg::Row| {
        Ok(DueStep {
            order_id: row.column("order_id")?,
            attempts: row.column("attempts")?,
            traceparent: row.column("traceparent")?,
        })
    };
    rows.iter().map(step).collect()
}

/// Ends the process of an order.
pub(crate) async fn finish(tx: &Tx<'_>, order_id: Uuid) -> Result<(), Error> {
    tx.execute_exactly(1, FINISH, &[&order_id]).await
}
