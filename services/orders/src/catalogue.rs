//! The catalogue file: products with which a tenant starts.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;
use pg::Pool;
use serde::Deserialize;

use crate::{
    domain::Sku,
    store::catalogue::{Product, insert_product},
};

/// Products by tenant.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Catalogue(BTreeMap<String, Vec<Entry>>);

#[derive(Debug, Deserialize)]
struct Entry {
    sku: String,
    #[serde(flatten)]
    product: Product,
    /// Pieces there are when the product is first seen.
    stock: i64,
}

impl Catalogue {
    /// Reads a catalogue file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a catalogue", path.display()))
    }

    /// Adds what is missing in the database; what is there stays as it is.
    pub(crate) async fn add_missing(&self, pool: &Pool) -> anyhow::Result<()> {
        for (tenant, entries) in &self.0 {
            for entry in entries {
                let sku = Sku::parse(&entry.sku).with_context(|| format!("`{}` is not a SKU", entry.sku))?;
                pg::run_tx(pool, "add_product", &(tenant, sku, entry), |tx, (tenant, sku, entry)| {
                    Box::pin(insert_product(tx, tenant, sku, &entry.product, entry.stock))
                })
                .await
                .with_context(|| format!("cannot add {} for {tenant}", entry.sku))?;
            }
        }
        Ok(())
    }
}
