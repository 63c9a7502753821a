//! The stack as a target of load tests.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, ensure};
use loadtest::target::{Events, Mailbox, Target};
use serde::Deserialize;

use crate::{
    config::StackConfig,
    parts::kafka,
    place::Place,
    ports::{authority, url},
};

/// The tenant of local clients.
pub(crate) const TENANT: &str = "acme";

/// The services of a stack, a signing key, and the systems that show the effects of requests.
pub(crate) fn target(config: &StackConfig) -> anyhow::Result<Target> {
    Ok(Target {
        orders_url: url(config.ports.orders()),
        links_url: url(config.ports.url_shortener()),
        tenant: TENANT.to_owned(),
        skus: well_stocked(config.checkout.root(), TENANT)?,
        token_file: None,
        signing_key_file: Some(config.secrets.client_key_file()?),
        mailbox: Some(Mailbox {
            imap: authority(config.ports.imap()),
            api_url: Some(url(config.ports.mailbox_api())),
        }),
        // A broker in a cluster names an address that only pods can resolve.
        events: (config.place == Place::Local).then(|| Events {
            bootstrap_servers: authority(config.ports.kafka()),
            topic: kafka::TOPICS[0].name.to_owned(),
            registry_url: config.ports.registry_url(),
        }),
    })
}

/// The stock of a product that no demonstration exhausts.
const WELL_STOCKED: u64 = 100_000;

#[derive(Deserialize)]
struct CatalogueEntry {
    sku: String,
    stock: u64,
}

/// Returns the well-stocked products of a tenant, at least two, from the catalogue of the order service.
pub(crate) fn well_stocked(checkout: &Path, tenant: &str) -> anyhow::Result<Vec<String>> {
    let path = checkout.join("services/orders/catalogue.json");
    let text = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
    let mut catalogue: BTreeMap<String, Vec<CatalogueEntry>> =
        serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))?;
    let products = catalogue.remove(tenant).unwrap_or_default().into_iter();
    let skus: Vec<_> = products.filter(|entry| entry.stock >= WELL_STOCKED).map(|entry| entry.sku).collect();
    ensure!(skus.len() >= 2, "{}: tenant {tenant} has fewer than two well-stocked products", path.display());
    Ok(skus)
}
