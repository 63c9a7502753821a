//! Stock and what is taken out of it.

use pg::{Error, Tx};

use crate::domain::{Availability, Details, Line, Sku};

/// Locks in order of sku: two orders for the same products wait for each other, and never in a circle.
const LOCK: &str = "\
SELECT sku, available FROM stock WHERE tenant = $1 AND sku = ANY($2) ORDER BY sku FOR UPDATE";

const TAKE: &str = "UPDATE stock SET available = available - $3 WHERE tenant = $1 AND sku = $2";

const INSERT_RESERVATION: &str =
    "INSERT INTO stock_reservations (order_id, tenant, sku, quantity) VALUES ($1, $2, $3, $4)";

/// Returns how much there is of each line's product, and keeps it so until the end of the transaction.
pub(crate) async fn lock_available(tx: &Tx<'_>, tenant: &str, lines: &[Line]) -> Result<Availability, Error> {
    let skus: Vec<&str> = lines.iter().map(|line| line.sku.as_str()).collect();
    let rows = tx.query(LOCK, &[&tenant, &skus]).await?;
    Ok(rows.iter().map(|row| (Sku::from_stored(row.get("sku")), row.get("available"))).collect())
}

/// Takes the order's pieces out of stock. The rows are locked and hold enough.
pub(crate) async fn reserve(tx: &Tx<'_>, order: &Details) -> Result<(), Error> {
    for line in &order.lines {
        let (sku, quantity) = (line.sku.as_str(), line.quantity);
        tx.execute_exactly(1, TAKE, &[&order.tenant, &sku, &i64::from(quantity)]).await?;
        tx.execute_exactly(1, INSERT_RESERVATION, &[&order.id, &order.tenant, &sku, &quantity]).await?;
    }
    Ok(())
}
