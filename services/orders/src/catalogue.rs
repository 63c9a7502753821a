//! The catalogue file: the initial products of each tenant.

use std::{collections::BTreeMap, error::Error as StdError, fs, path::Path, time::Duration};

use anyhow::Context;
use backon::{ConstantBuilder, Retryable as _};
use money::{Currency, Money};
use pg::{Pool, Tx};
use serde::Deserialize;

use crate::{
    domain::Sku,
    store::stock::{CatalogueProduct, find_stocked, insert_product},
};

/// Pauses before the next attempt after a transient failure of the database, without end.
const BACKOFF: ConstantBuilder =
    ConstantBuilder::new().with_delay(Duration::from_secs(1)).with_jitter().without_max_times();

#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Catalogue(BTreeMap<String, Vec<Entry>>);

#[derive(Debug, Deserialize)]
struct Entry {
    sku: Sku,
    name: String,
    unit_price_minor: i64,
    currency: Currency,
    stock: i64,
}

impl Catalogue {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a catalogue", path.display()))
    }

    /// Adds the products that are missing in the database, and changes no others. Waits while the database is not available.
    pub(crate) async fn add_missing(&self, pool: &Pool) -> Result<(), pg::Error> {
        let add = || {
            pg::run_tx(pool, "add_catalogue", self, |tx, catalogue| Box::pin(catalogue.insert_missing(tx)))
        };
        add.retry(BACKOFF)
            .when(pg::Error::is_transient)
            .notify(|error, _| {
                tracing::warn!(
                    error = error as &dyn StdError,
                    "the catalogue cannot be added yet, trying again"
                );
            })
            .await
    }

    /// Writes nothing if no product is missing, so that a start needs no locks.
    async fn insert_missing(&self, tx: &Tx<'_>) -> Result<(), pg::Error> {
        for (tenant, entries) in &self.0 {
            let skus: Vec<&str> = entries.iter().map(|entry| entry.sku.as_str()).collect();
            let present = find_stocked(tx, tenant, &skus).await?;
            let missing = entries.iter().filter(|entry| !present.contains(&entry.sku));
            for Entry { sku, name, unit_price_minor, currency, stock } in missing {
                let unit_price = Money::new(*unit_price_minor, *currency);
                let product = CatalogueProduct { name: name.clone(), unit_price };
                insert_product(tx, tenant, sku, &product, *stock).await?;
            }
        }
        Ok(())
    }
}
