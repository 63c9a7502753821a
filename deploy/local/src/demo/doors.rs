//! Where a client of the product finds it.

use std::path::Path;

use anyhow::{Context, ensure};
use loadtest::target::Target;
use serde::Deserialize;

use crate::ports::url;
use crate::stack::StackConfig;
use crate::target::target;

/// The doors that the demonstrations go through; those of a product elsewhere are a TOML file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Doors {
    /// How the links to tracking pages begin that customers are given. They need not lead there from here.
    pub(super) orders_public_url: String,
    /// How the short links begin that customers are given.
    pub(super) links_public_url: String,
    pub(super) mailbox_url: String,
    pub(super) zipkin_url: String,
    pub(super) prometheus_url: String,
    /// How everything is reached from here, as load tests have it.
    pub(super) target: Target,
}

impl Doors {
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
        let doors: Self =
            toml::from_str(&text).with_context(|| format!("{} describes no product", path.display()))?;
        ensure!(doors.target.skus.len() >= 2, "{}: skus must name two products at least", path.display());
        Ok(doors)
    }

    /// The way that a link which a customer was given takes from here.
    pub(super) fn way_to(&self, link: &str) -> String {
        let ways = [
            (&self.orders_public_url, &self.target.orders_url),
            (&self.links_public_url, &self.target.links_url),
        ];
        let way = ways.into_iter().find_map(|(public_url, url)| {
            link.strip_prefix(public_url.as_str()).map(|rest| format!("{url}{rest}"))
        });
        way.unwrap_or_else(|| link.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::demo::catalogue::plentiful;

    fn checkout() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// Those of the overlays `kind` and `airgapped`.
    fn of_a_cluster() -> Doors {
        Doors::read(&checkout().join("deploy/k8s/components/parts/product.toml")).unwrap()
    }

    #[test]
    fn a_public_link_is_followed_where_the_service_is() {
        let doors = of_a_cluster();
        assert_eq!(doors.way_to("https://links.muster.test/abc"), "http://url-shortener:80/abc");
        assert_eq!(doors.way_to("https://orders.muster.test/track/abc"), "http://orders:80/track/abc");
        assert_eq!(doors.way_to("https://elsewhere.example/abc"), "https://elsewhere.example/abc");
    }

    #[test]
    fn a_cluster_is_asked_for_products_that_it_has_plenty_of() {
        let Target { tenant, skus, .. } = of_a_cluster().target;
        assert_eq!(skus, plentiful(&checkout(), &tenant).unwrap());
    }
}
