//! The tables `products`, `stock` and `stock_reservations`.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join;
use money::Money;
use pg::{Columns as _, Error, Row, Tx};
use uuid::Uuid;

use super::orders;
use crate::domain::{Details, Product, Sku, Stock};

#[derive(Debug)]
pub(crate) struct CatalogueProduct {
    pub(crate) name: String,
    pub(crate) unit_price: Money,
}

const FIND_PRODUCTS: &str =
    "SELECT sku, name, unit_price_minor, currency FROM products WHERE tenant = $1 AND sku = ANY($2)";

const FIND_STOCKED: &str = "SELECT sku FROM stock WHERE tenant = $1 AND sku = ANY($2)";

const INSERT_PRODUCT: &str = "\
INSERT INTO products (tenant, sku, name, unit_price_minor, currency) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING";

const INSERT_STOCK: &str =
    "INSERT INTO stock (tenant, sku, available) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// Locks rows in a fixed order, so that groups with the same products do not deadlock.
const LOCK: &str = "\
SELECT tenant, sku, available, false AS is_held FROM stock
WHERE (tenant, sku) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY tenant, sku FOR UPDATE";

/// Does not wait for locks. Rows that another transaction has locked are returned as held.
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

/// How [`lock`] treats a row that another transaction has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockMode {
    /// Waits until the lock timeout of the transaction.
    Wait,
    /// Returns the product as locked.
    SkipLocked,
}

/// Returns the products of these SKUs that the catalogue of the tenant contains.
pub(crate) async fn find_products(
    tx: &Tx<'_>,
    tenant: &str,
    skus: &[&str],
) -> Result<BTreeMap<Sku, CatalogueProduct>, Error> {
    let rows = tx.query(FIND_PRODUCTS, &[&tenant, &skus]).await?;
    let products = rows.iter().map(|row| {
        let product = CatalogueProduct {
            name: row.column("name")?,
            unit_price: Money::new(row.column("unit_price_minor")?, orders::currency(row)?),
        };
        Ok((Sku::from_stored(row.column("sku")?), product))
    });
    products.collect()
}

/// Returns those of these SKUs for which the tenant has a product and its stock.
pub(crate) async fn find_stocked(tx: &Tx<'_>, tenant: &str, skus: &[&str]) -> Result<BTreeSet<Sku>, Error> {
    let rows = tx.query(FIND_STOCKED, &[&tenant, &skus]).await?;
    rows.iter().map(|row| Ok(Sku::from_stored(row.column("sku")?))).collect()
}

/// Inserts a product with its initial stock, unless the tenant has it.
pub(crate) async fn insert_product(
    tx: &Tx<'_>,
    tenant: &str,
    sku: &Sku,
    product: &CatalogueProduct,
    available: i64,
) -> Result<(), Error> {
    let CatalogueProduct { name, unit_price } = product;
    let (minor, currency) = (unit_price.minor(), unit_price.currency().code());
    tx.execute(INSERT_PRODUCT, &[&tenant, &sku.as_str(), name, &minor, &currency]).await?;
    tx.execute(INSERT_STOCK, &[&tenant, &sku.as_str(), &available]).await?;
    Ok(())
}

/// Locks the stock of these products until the end of the transaction, and returns it.
pub(crate) async fn lock(
    tx: &Tx<'_>,
    products: &BTreeSet<Product>,
    lock_mode: LockMode,
) -> Result<Stock, Error> {
    let (tenants, skus): (Vec<&str>, Vec<&str>) =
        products.iter().map(|(tenant, sku)| (tenant.as_str(), sku.as_str())).unzip();
    let rows = match lock_mode {
        LockMode::Wait => tx.query(LOCK, &[&tenants, &skus]).await?,
        LockMode::SkipLocked => tx.query(LOCK_FREE, &[&tenants, &skus]).await?,
    };
    let mut stock = Stock::default();
    for row in &rows {
        let product = product(row)?;
        if row.column("is_held")? {
            stock.locked.insert(product);
        } else {
            stock.available.insert(product, row.column("available")?);
        }
    }
    Ok(stock)
}

fn product(row: &Row) -> Result<Product, Error> {
    Ok((row.column("tenant")?, Sku::from_stored(row.column("sku")?)))
}

/// Reserves the pieces of these orders. This transaction has locked the rows, and their stock is sufficient.
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
