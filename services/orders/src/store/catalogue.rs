//! Products.

use std::collections::{BTreeMap, BTreeSet};

use money::Money;
use pg::{Columns as _, Error, Tx};

use crate::domain::Sku;

/// A product of a tenant's catalogue.
#[derive(Debug)]
pub(crate) struct Product {
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

/// Returns those of the products that the tenant sells.
pub(crate) async fn find_products(
    tx: &Tx<'_>,
    tenant: &str,
    skus: &[&str],
) -> Result<BTreeMap<Sku, Product>, Error> {
    let rows = tx.query(FIND_PRODUCTS, &[&tenant, &skus]).await?;
    let products = rows.iter().map(|row| {
        let product = Product {
            name: row.column("name")?,
            unit_price: Money::new(row.column("unit_price_minor")?, super::orders::currency(row)?),
        };
        Ok((Sku::from_stored(row.column("sku")?), product))
    });
    products.collect()
}

/// Returns those of the products that the tenant has, with their stock.
pub(crate) async fn find_stocked(tx: &Tx<'_>, tenant: &str, skus: &[&str]) -> Result<BTreeSet<Sku>, Error> {
    let rows = tx.query(FIND_STOCKED, &[&tenant, &skus]).await?;
    rows.iter().map(|row| Ok(Sku::from_stored(row.column("sku")?))).collect()
}

/// Adds a product with its first stock, unless the tenant has it already.
pub(crate) async fn insert_product(
    tx: &Tx<'_>,
    tenant: &str,
    sku: &Sku,
    product: &Product,
    available: i64,
) -> Result<(), Error> {
    let Product { name, unit_price } = product;
    let (minor, currency) = (unit_price.minor(), unit_price.currency().code());
    tx.execute(INSERT_PRODUCT, &[&tenant, &sku.as_str(), name, &minor, &currency]).await?;
    tx.execute(INSERT_STOCK, &[&tenant, &sku.as_str(), &available]).await?;
    Ok(())
}
