//! The order service as a client sees it.

use std::time::Duration;

use anyhow::{Context, ensure};
use loadtest::reconcile::State;
use loadtest::target::Token;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::readiness::http_client;

/// How long a client waits for an answer before it tries again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The API and the right to use it.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    pub(super) url: String,
    pub(super) token: Token,
}

/// A request for an order, which may be sent more than once.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub(super) idempotency_key: Uuid,
    pub(super) traceparent: Option<String>,
    pub(super) body: String,
}

/// What the API answered to a placement.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: String,
    pub(super) is_replay: bool,
    pub(super) body: String,
}

/// The part of an order that the demonstrations look at.
#[derive(Debug, Deserialize)]
pub(super) struct Order {
    pub(super) id: Uuid,
    pub(super) state: State,
    pub(super) rejection_reason: Option<String>,
}

impl Placement {
    pub(super) fn new(customer_email: &str, lines: &[(&str, u32)]) -> Self {
        let lines: Vec<_> =
            lines.iter().map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity })).collect();
        let body = json!({ "customer_email": customer_email, "lines": lines }).to_string();
        Self { idempotency_key: Uuid::new_v4(), traceparent: None, body }
    }
}

impl Shop {
    /// Sends a placement once.
    pub(super) async fn place(&self, placement: &Placement) -> anyhow::Result<Answer> {
        let mut request = http_client()
            .post(format!("{}/v1/orders", self.url))
            .timeout(PATIENCE)
            .bearer_auth(self.token.expose())
            .header("Idempotency-Key", placement.idempotency_key.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(placement.body.clone());
        if let Some(traceparent) = &placement.traceparent {
            request = request.header("traceparent", traceparent);
        }
        let response = request.send().await.context("POST /v1/orders: no answer")?;
        Ok(Answer {
            status: response.status().as_u16(),
            location: header(response.headers(), "location"),
            is_replay: header(response.headers(), "idempotent-replayed") == "true",
            body: response.text().await.context("POST /v1/orders: the answer broke off")?,
        })
    }

    /// Reads an order.
    pub(super) async fn find(&self, id: Uuid) -> anyhow::Result<Order> {
        let response = http_client()
            .get(format!("{}/v2/orders/{id}", self.url))
            .timeout(PATIENCE)
            .bearer_auth(self.token.expose())
            .send()
            .await
            .context("GET of the order: no answer")?;
        let status = response.status();
        ensure!(status == 200, "GET of the order answers {status}");
        response.json().await.context("GET of the order: the answer is no order")
    }
}

impl Answer {
    /// Reads the order in the body.
    pub(super) fn order(&self) -> anyhow::Result<Order> {
        serde_json::from_str(&self.body).with_context(|| format!("the answer is no order: {}", self.body))
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
