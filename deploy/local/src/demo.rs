//! The demonstrations: what a client sees of the running stack, checked as it goes.
//!
//! They know the product only through its doors: the HTTP API, the mailbox, the short links, the
//! tracking page and the trace store. Nothing is shown as having happened that was not looked at.

pub(crate) mod catalogue;
mod doors;
mod load;
mod mail;
mod page;
mod shop;
mod trace;
mod visits;
mod walkthrough;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use loadtest::connections::{Request, get, post};
use loadtest::target::authority;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};

pub(crate) use load::{Load, load};
pub(crate) use walkthrough::walkthrough;

use crate::stack::StackConfig;
use doors::Doors;
use shop::{Placement, Shop};

/// What a client needs to place an order and to look at it.
const SCOPES: [&str; 2] = ["orders:write", "orders:read"];

/// How long a demonstration may take.
const RUN: Duration = Duration::from_hours(1);

/// Everything a demonstration needs to know of the stack.
#[derive(Debug)]
pub(crate) struct Scene {
    doors: Doors,
    shop: Shop,
}

impl Scene {
    /// The stack of this checkout.
    pub(crate) fn set(config: &StackConfig) -> anyhow::Result<Self> {
        Self::behind(Doors::local(config)?)
    }

    /// A product that runs elsewhere, described by a file.
    pub(crate) fn elsewhere(description: &Path) -> anyhow::Result<Self> {
        Self::behind(Doors::read(description)?)
    }

    fn behind(doors: Doors) -> anyhow::Result<Self> {
        let token = doors.target.token(RUN).context("the token of the demonstrations")?;
        Ok(Self { shop: Shop { url: doors.target.orders_url.clone(), token }, doors })
    }

    /// Products that there is plenty of; at least two.
    fn skus(&self) -> &[String] {
        &self.doors.target.skus
    }

    /// `host:port` of the order service.
    pub(crate) fn orders_authority(&self) -> anyhow::Result<&str> {
        authority(&self.doors.target.orders_url)
    }

    /// A request for an order of two products, under a key of its own.
    pub(crate) fn new_order_request(&self) -> anyhow::Result<Request> {
        let lines = [(self.skus()[0].as_str(), 1), (self.skus()[1].as_str(), 1)];
        let placement = Placement::new("bench@example.com", &lines);
        let headers = [
            (AUTHORIZATION, self.shop.token.header()?),
            (HeaderName::from_static("idempotency-key"), placement.idempotency_key.to_string().try_into()?),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ];
        post("/v1/orders", &headers, placement.body).context("the request")
    }

    /// A request for a page of orders.
    pub(crate) fn page_request(&self, path_and_query: &str) -> anyhow::Result<Request> {
        get(path_and_query, &[(AUTHORIZATION, self.shop.token.header()?)]).context("the request")
    }
}

/// An address that never got mail before.
fn fresh_address(name: &str) -> String {
    let random: u32 = rand::random();
    format!("{name}-{random:08x}@example.com")
}
