//! Where a client finds the product.

use std::path::Path;

use anyhow::{Context, ensure};
use loadtest::target::Target;
use serde::Deserialize;

use crate::{config::StackConfig, ports::url, target::target};

/// The addresses of a running product. A TOML file describes one that is not the local stack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Product {
    /// The prefix of the links to tracking pages, as customers receive them.
    pub(super) orders_public_url: String,
    /// The prefix of the short links, as customers receive them.
    pub(super) links_public_url: String,
    pub(super) mailbox_url: String,
    pub(super) zipkin_url: String,
    pub(super) prometheus_url: String,
    /// The addresses that this program connects to.
    pub(super) target: Target,
}

impl Product {
    pub(super) fn local(config: &StackConfig) -> anyhow::Result<Self> {
        let target = target(config)?;
        Ok(Self {
            orders_public_url: target.orders_url.clone(),
            links_public_url: target.links_url.clone(),
            mailbox_url: url(config.ports.mailbox_api()),
            zipkin_url: url(config.ports.zipkin()),
            prometheus_url: url(config.ports.prometheus()),
            target,
        })
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        let product: Self = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
        ensure!(product.target.skus.len() >= 2, "{}: skus must name at least two products", path.display());
        Ok(product)
    }

    /// Translates the public URL of a link to the address of the service.
    pub(super) fn service_url(&self, link: &str) -> String {
        let prefixes = [
            (&self.orders_public_url, &self.target.orders_url),
            (&self.links_public_url, &self.target.links_url),
        ];
        let translate =
            |(public, url): (&String, &String)| Some(format!("{url}{}", link.strip_prefix(public)?));
        prefixes.into_iter().find_map(translate).unwrap_or_else(|| link.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::target::well_stocked;

    fn checkout() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// The product of the overlays `kind` and `airgapped`.
    fn cluster_product() -> Product {
        Product::read(&checkout().join("deploy/k8s/components/parts/product.toml")).unwrap()
    }

    #[test]
    fn a_public_link_is_translated_to_the_address_of_its_service() {
        let product = cluster_product();
        assert_eq!(product.service_url("https://links.muster.test/abc"), "http://url-shortener:80/abc");
        assert_eq!(product.service_url("https://orders.muster.test/track/abc"), "http://orders:80/track/abc");
        assert_eq!(product.service_url("https://elsewhere.example/abc"), "https://elsewhere.example/abc");
    }

    #[test]
    fn the_products_of_a_cluster_are_well_stocked() {
        let Target { tenant, skus, .. } = cluster_product().target;
        assert_eq!(skus, well_stocked(&checkout(), &tenant).unwrap());
    }
}
