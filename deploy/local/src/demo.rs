//! The demonstrations: what a client sees of the running stack, checked as it goes.
//!
//! They know the product only through its doors: the HTTP API, the mailbox, the short links, the
//! tracking page and the trace store. Nothing is shown as having happened that was not looked at.

pub(crate) mod catalogue;
mod load;
mod mail;
mod page;
mod shop;
mod trace;
mod walkthrough;

use std::time::Duration;

use anyhow::Context;
use auth::TokenRequest;
use loadtest::connections::{Request, get, post};
use loadtest::target::Target;

pub(crate) use load::load;
pub(crate) use walkthrough::walkthrough;

use crate::ports::{Ports, authority, url};
use crate::site::Site;
use crate::target::{TENANT, target};
use shop::{Placement, Shop};

/// What the client of the demonstrations may do.
const SCOPES: [&str; 2] = ["orders:write", "orders:read"];

/// Everything a demonstration needs to know of the stack.
#[derive(Debug)]
pub(crate) struct Scene {
    ports: Ports,
    shop: Shop,
    target: Target,
    /// Products that there is plenty of.
    skus: Vec<String>,
}

impl Scene {
    pub(crate) fn set(site: &Site) -> anyhow::Result<Self> {
        let token = site
            .secrets
            .development_key()?
            .sign(&TokenRequest {
                subject: "demo".to_owned(),
                tenant: TENANT.parse().context("the tenant of the demonstrations")?,
                scopes: SCOPES.map(str::to_owned).to_vec(),
                ttl: Duration::from_hours(1),
            })
            .context("the token of the demonstrations")?;
        let shop = Shop { url: url(site.ports.orders()), token };
        let target = target(site)?;
        Ok(Self { ports: site.ports, shop, skus: target.skus.clone(), target })
    }

    /// `host:port` of the order service.
    pub(crate) fn orders_authority(&self) -> String {
        authority(self.ports.orders())
    }

    /// A request for an order of two products, under a key of its own.
    pub(crate) fn new_order_request(&self) -> anyhow::Result<Request> {
        let lines = [(self.skus[0].as_str(), 1), (self.skus[1].as_str(), 1)];
        let placement = Placement::new("bench@example.com", &lines);
        let headers = [
            self.authorization(),
            ("idempotency-key", placement.idempotency_key.to_string()),
            ("content-type", "application/json".to_owned()),
        ];
        post("/v1/orders", &headers, placement.body).context("the request")
    }

    /// A request for a page of orders.
    pub(crate) fn page_request(&self, path_and_query: &str) -> anyhow::Result<Request> {
        get(path_and_query, &[self.authorization()]).context("the request")
    }

    fn authorization(&self) -> (&'static str, String) {
        ("authorization", format!("Bearer {}", self.shop.token))
    }
}

/// An address that never got mail before.
fn fresh_address(name: &str) -> String {
    let random: u32 = rand::random();
    format!("{name}-{random:08x}@example.com")
}
