//! Stock and what is taken out of it.

use futures::future::try_join;
use pg::{Columns as _, Error, Tx};

use crate::domain::{Availability, Details, Line, Sku};

/// Locks in order of sku: two orders for the same products wait for each other, and never in a circle.
const LOCK: &str = "\
SELECT sku, available FROM stock WHERE tenant = $1 AND sku = ANY($2) ORDER BY sku FOR UPDATE";

const TAKE: &str = "\
UPDATE stock SET available = available - taken.quantity
FROM unnest($2::text[], $3::int[]) AS taken (sku, quantity)
WHERE stock.tenant = $1 AND stock.sku = taken.sku";

const INSERT_RESERVATIONS: &str = "\
INSERT INTO stock_reservations (order_id, tenant, sku, quantity) SELECT $1, $2, * FROM unnest($3::text[], $4::int[])";

/// Returns how much there is of each line's product, and keeps it so until the end of the transaction.
pub(crate) async fn lock_available(tx: &Tx<'_>, tenant: &str, lines: &[Line]) -> Result<Availability, Error> {
    let skus: Vec<&str> = lines.iter().map(|line| line.sku.as_str()).collect();
    let rows = tx.query(LOCK, &[&tenant, &skus]).await?;
    rows.iter().map(|row| Ok((Sku::from_stored(row.column("sku")?), row.column("available")?))).collect()
}

/// Takes the order's pieces out of stock. The rows are locked and hold enough.
pub(crate) async fn reserve(tx: &Tx<'_>, order: &Details) -> Result<(), Error> {
    let skus: Vec<&str> = order.lines.iter().map(|line| line.sku.as_str()).collect();
    let quantities: Vec<i32> = order.lines.iter().map(|line| line.quantity).collect();
    let count = order.lines.len() as u64;
    try_join(
        tx.execute_exactly(count, TAKE, &[&order.tenant, &skus, &quantities]),
        tx.execute_exactly(count, INSERT_RESERVATIONS, &[&order.id, &order.tenant, &skus, &quantities]),
    )
    .await
    .map(drop)
}
