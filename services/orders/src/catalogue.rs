//! The catalogue file: products with which a tenant starts.

use std::{collections::BTreeMap, error::Error as StdError, fs, path::Path, time::Duration};

use anyhow::Context;
use money::{Currency, Money};
use pg::{Pool, Tx};
use serde::Deserialize;

use crate::{
    domain::Sku,
    store::catalogue::{Product, find_stocked, insert_product},
};

/// Pause before a database that was away is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Products by tenant.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Catalogue(BTreeMap<String, Vec<Entry>>);

#[derive(Debug, Deserialize)]
struct Entry {
    sku: Sku,
    name: String,
    /// Price of one piece in the currency's minor unit.
    unit_price_minor: i64,
    currency: Currency,
    /// Pieces there are when the product is first seen.
    stock: i64,
}

impl Catalogue {
    /// Reads a catalogue file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a catalogue", path.display()))
    }

    /// Adds what is missing in the database; what is there stays as it is. Waits for a database that is away.
    pub(crate) async fn add_missing(&self, pool: &Pool) -> Result<(), pg::Error> {
        loop {
            let added = pg::run_tx(pool, "add_catalogue", self, |tx, catalogue| {
                Box::pin(catalogue.insert_missing(tx))
            });
            match added.await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "the catalogue cannot be added yet, trying again"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
                result => return result,
            }
        }
    }

    /// Writes nothing when nothing is missing: a start needs no lock that somebody may hold.
    async fn insert_missing(&self, tx: &Tx<'_>) -> Result<(), pg::Error> {
        for (tenant, entries) in &self.0 {
            let skus: Vec<&str> = entries.iter().map(|entry| entry.sku.as_str()).collect();
            let present = find_stocked(tx, tenant, &skus).await?;
            let missing = entries.iter().filter(|entry| !present.contains(&entry.sku));
            for Entry { sku, name, unit_price_minor, currency, stock } in missing {
                let unit_price = Money::new(*unit_price_minor, *currency);
                let product = Product { name: name.clone(), unit_price };
                insert_product(tx, tenant, sku, &product, *stock).await?;
            }
        }
        Ok(())
    }
}
