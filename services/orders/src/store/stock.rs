//! Stock and what is taken out of it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join;
use pg::{Columns as _, Error, Row, Tx};
use uuid::Uuid;

use crate::domain::{Details, Product, Sku, Stock};

/// Locks in one order: two groups with the same products wait for each other, and never in a circle.
const LOCK: &str = "\
SELECT tenant, sku, available, false AS is_held FROM stock
WHERE (tenant, sku) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY tenant, sku FOR UPDATE";

/// Waits for nobody. A row that somebody else has is there, and without a number.
const LOCK_FREE: &str = "\
WITH free AS (
    SELECT tenant, sku, available FROM stock
    WHERE (tenant, sku) IN (SELECT * FROM unnest($1::text[], $2::text[]))
    FOR UPDATE SKIP LOCKED)
SELECT tenant, sku, coalesce(free.available, 0) AS available, free.available IS NULL AS is_held
FROM stock LEFT JOIN free USING (tenant, sku)
WHERE (tenant, sku) IN (SELECT * FROM unnest($1::text[], $2::text[]))";

const TAKE: &str = "\
UPDATE stock SET available = available - taken.quantity
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS taken (tenant, sku, quantity)
WHERE stock.tenant = taken.tenant AND stock.sku = taken.sku";

const INSERT_RESERVATIONS: &str = "\
INSERT INTO stock_reservations (order_id, tenant, sku, quantity)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[])";

/// What to do about a row that somebody else has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenHeld {
    /// Wait, as long as the transaction waits for locks.
    Wait,
    /// Say that it is held.
    Skip,
}

/// Returns how much there is of each product, and keeps it so until the end of the transaction.
pub(crate) async fn lock(
    tx: &Tx<'_>,
    products: &BTreeSet<Product>,
    when_held: WhenHeld,
) -> Result<Stock, Error> {
    let (tenants, skus): (Vec<&str>, Vec<&str>) =
        products.iter().map(|(tenant, sku)| (tenant.as_str(), sku.as_str())).unzip();
    let rows = match when_held {
        WhenHeld::Wait => tx.query(LOCK, &[&tenants, &skus]).await?,
        WhenHeld::Skip => tx.query(LOCK_FREE, &[&tenants, &skus]).await?,
    };
    let mut stock = Stock::default();
    for row in &rows {
        let product = product(row)?;
        if row.column("is_held")? {
            stock.held.insert(product);
        } else {
            stock.available.insert(product, row.column("available")?);
        }
    }
    Ok(stock)
}

fn product(row: &Row) -> Result<Product, Error> {
    Ok((row.column("tenant")?, Sku::from_stored(row.column("sku")?)))
}

/// Takes the pieces of these orders out of stock. The rows are locked and hold enough.
pub(crate) async fn reserve(tx: &Tx<'_>, orders: &[&Details]) -> Result<(), Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let mut totals: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let (mut ids, mut tenants, mut skus, mut quantities) = (vec![], vec![], vec![], vec![]);
    for order in orders {
        for line in &order.lines {
            let product = (order.tenant.as_str(), line.sku.as_str());
            *totals.entry(product).or_default() += i64::from(line.quantity);
            ids.push(order.id);
            tenants.push(product.0);
            skus.push(product.1);
            quantities.push(line.quantity);
        }
    }
    try_join(take(tx, &totals), insert_reservations(tx, &ids, &tenants, &skus, &quantities)).await.map(drop)
}

async fn take(tx: &Tx<'_>, totals: &BTreeMap<(&str, &str), i64>) -> Result<(), Error> {
    let (tenants, skus): (Vec<&str>, Vec<&str>) = totals.keys().copied().unzip();
    let pieces: Vec<i64> = totals.values().copied().collect();
    tx.execute_exactly(totals.len() as u64, TAKE, &[&tenants, &skus, &pieces]).await
}

async fn insert_reservations(
    tx: &Tx<'_>,
    ids: &[Uuid],
    tenants: &[&str],
    skus: &[&str],
    quantities: &[i32],
) -> Result<(), Error> {
    let count = ids.len() as u64;
    tx.execute_exactly(count, INSERT_RESERVATIONS, &[&ids, &tenants, &skus, &quantities]).await
}
