//! Which products can be ordered, from the file that the order service itself is given.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// As many pieces as no demonstration orders.
const PLENTY: u64 = 100_000;

#[derive(Deserialize)]
struct Product {
    sku: String,
    stock: u64,
}

/// The products of a tenant that do not run out; at least two.
pub(crate) fn plentiful(checkout: &Path, tenant: &str) -> anyhow::Result<Vec<String>> {
    let path = checkout.join("services/orders/catalogue.json");
    let text = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
    let mut catalogue: BTreeMap<String, Vec<Product>> =
        serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))?;
    let products = catalogue.remove(tenant).unwrap_or_default().into_iter();
    let skus: Vec<String> =
        products.filter(|product| product.stock >= PLENTY).map(|product| product.sku).collect();
    ensure!(skus.len() >= 2, "{} has too few well-stocked products of {tenant}", path.display());
    Ok(skus)
}
