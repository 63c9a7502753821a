//! Starts an order service with its own database, topic and keys, and a client.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::{Builder, Database, Keys, Process, Topics, client, endpoints, scratch_dir, wait_for};

/// Timeout for an order to become final, and for the service to recover.
pub(crate) const SOON: Duration = Duration::from_secs(90);

const CATALOGUE: &str = r#"{
  "acme": [
    { "sku": "TEA", "name": "Tea", "unit_price_minor": 499, "currency": "EUR", "stock": 100000 },
    { "sku": "CUP", "name": "Cup <b>&amp;", "unit_price_minor": 1000, "currency": "EUR", "stock": 3 },
    { "sku": "GONE", "name": "Gone", "unit_price_minor": 100, "currency": "EUR", "stock": 0 },
    { "sku": "FRANC", "name": "Swiss", "unit_price_minor": 100, "currency": "CHF", "stock": 10 },
    { "sku": "MATCHA", "name": "Matcha", "unit_price_minor": 1500, "currency": "JPY", "stock": 10 },
    { "sku": "DATES", "name": "Dates", "unit_price_minor": 1234, "currency": "BHD", "stock": 10 }
  ],
  "globex": [
    { "sku": "TEA", "name": "Other tea", "unit_price_minor": 1, "currency": "EUR", "stock": 10 }
  ]
}"#;

/// A running service with its parts.
pub(crate) struct App {
    pub(crate) process: Process,
    pub(crate) database: Database,
    pub(crate) topics: Topics,
    pub(crate) keys: Keys,
}

/// The parts of a service that is not started yet.
pub(crate) struct Parts {
    pub(crate) database: Database,
    pub(crate) topics: Topics,
    pub(crate) keys: Keys,
}

impl Parts {
    pub(crate) async fn make() -> Self {
        let database = Database::create("orders").await;
        let topics = Topics::create(&[("orders.events", 3)]).await;
        let keys = Keys::generate(&scratch_dir("orders-keys"));
        Self { database, topics, keys }
    }

    /// Returns a builder of the service.
    pub(crate) fn service(&self) -> Builder {
        self.service_with(CATALOGUE)
    }

    /// Returns a builder of the service with this catalogue.
    pub(crate) fn service_with(&self, catalogue_json: &str) -> Builder {
        let catalogue = scratch_dir("orders-catalogue").join("catalogue.json");
        std::fs::write(&catalogue, catalogue_json).unwrap();
        Process::builder(env!("CARGO_BIN_EXE_orders"))
            .env("DATABASE_URL", self.database.url())
            .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
            .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
            .env("AUTH_JWKS_FILE", self.keys.jwks_file())
            .env("ORDERS_EVENTS_TOPIC", self.topics.name("orders.events"))
            .env("ORDERS_CATALOGUE_FILE", &catalogue)
            .env("ORDERS_TRACKING_KEY", "11".repeat(32))
            .env("ORDERS_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
            .env("ORDERS_PUBLIC_URL", "http://orders.example")
    }

    pub(crate) fn with(self, process: Process) -> App {
        let Self { database, topics, keys } = self;
        App { process, database, topics, keys }
    }
}

impl App {
    pub(crate) async fn start() -> Self {
        let parts = Parts::make().await;
        let process = parts.service().spawn().await;
        parts.with(process)
    }

    /// Starts a service with these fail points.
    pub(crate) async fn start_with_fail_point(trap: &str) -> Self {
        let parts = Parts::make().await;
        let process = parts.service().env("MUSTER_FAIL_POINTS", trap).spawn().await;
        parts.with(process)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.process.http_url())
    }

    pub(crate) fn token(&self) -> String {
        self.keys.token("acme", &["orders:write", "orders:read"])
    }

    /// Sends an order. An error means that no response arrived.
    pub(crate) async fn try_post(&self, key: &str, body: &Value) -> reqwest::Result<Response> {
        let request = client().post(self.url("/v1/orders")).bearer_auth(self.token());
        request.header("Idempotency-Key", key).json(body).send().await
    }

    pub(crate) async fn post(&self, key: &str, body: &Value) -> Response {
        self.try_post(key, body).await.unwrap()
    }

    /// Sends an order, and retries with the same key until it is accepted.
    pub(crate) async fn post_until_accepted(&self, key: &str, body: &Value) -> Value {
        wait_for("the order to be accepted", SOON, async || {
            let response = self.try_post(key, body).await.ok()?;
            (response.status() == StatusCode::ACCEPTED).then_some(response)?.json().await.ok()
        })
        .await
    }

    /// Places an order, checks that it is accepted, and returns it.
    pub(crate) async fn place(&self, body: &Value) -> Value {
        let response = self.post(&uuid::Uuid::new_v4().to_string(), body).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        response.json().await.unwrap()
    }

    /// Polls an order until it is final.
    pub(crate) async fn settled(&self, id: &str) -> Value {
        wait_for(&format!("order {id} to be final"), SOON, async || {
            let request = client().get(self.url(&format!("/v1/orders/{id}"))).bearer_auth(self.token());
            let order: Value = request.send().await.ok()?.json().await.ok()?;
            matches!(order["state"].as_str()?, "confirmed" | "rejected").then_some(order)
        })
        .await
    }

    /// Waits until all events are published.
    pub(crate) async fn published(&self) {
        wait_for("all events to be published", SOON, async || {
            (self.count("SELECT count(*) FROM outbox_unpublished").await == 0).then_some(())
        })
        .await;
    }

    /// Returns the result of a `count(*)` query.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.database.connect().await.query_one(sql, &[]).await.unwrap().get(0)
    }
}

/// An order of one line.
pub(crate) fn order(sku: &str, quantity: i64) -> Value {
    json!({ "customer_email": "ada@example.com", "lines": [{ "sku": sku, "quantity": quantity }] })
}

pub(crate) fn id(order: &Value) -> &str {
    order["id"].as_str().unwrap()
}
