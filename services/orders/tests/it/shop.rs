//! Customers with purchases of the past, and the events of the search for those to win back.

use events::{Decoder, Registry, promotions::CustomerLapsed};
use testkit::{Builder, Kafka, Process, Topics, client, endpoints, wait_for};

use crate::app::{Parts, SOON};

/// A service that does not search, and the parts for others that do.
pub(crate) struct Shop {
    pub(crate) parts: Parts,
    pub(crate) quiet: Process,
    topics: Topics,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let parts = Parts::make().await;
        let topics = Topics::create(&[("orders.promotions", 3)]).await;
        // By default there is no search.
        let quiet = parts.service().spawn().await;
        Self { parts, quiet, topics }
    }

    /// Returns a builder of a service that searches every second.
    pub(crate) fn searching(&self) -> Builder {
        self.parts
            .service()
            .env("ORDERS_PROMOTIONS_TOPIC", self.topics.name("orders.promotions"))
            .env("ORDERS_WIN_BACK_EVERY_S", "1")
    }

    /// Stores one order for each age, an interval of PostgreSQL.
    pub(crate) async fn ordered(&self, tenant: &str, customer: &str, state: &str, ages: &[&str]) {
        const INSERT: &str = "\
INSERT INTO orders (id, tenant, customer_email, state, rejection_reason, total_minor, currency, version, placed_at, updated_at)
SELECT gen_random_uuid(), $1, $2, $3, CASE $3 WHEN 'rejected' THEN 'sold out' END, 100, 'EUR', 2, now() - age::interval, now() - age::interval
FROM unnest($4::text[]) AS age";
        let session = self.parts.database.connect().await;
        session.execute(INSERT, &[&tenant, &customer, &state, &ages]).await.unwrap();
    }

    /// Runs a statement that tests use to move time.
    pub(crate) async fn sql(&self, statement: &str) {
        self.parts.database.connect().await.batch_execute(statement).await.unwrap();
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.parts.database.connect().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Events that were ever appended, published or not.
    pub(crate) async fn n_events(&self) -> i64 {
        self.count("SELECT count(*) FROM outbox WHERE event_type = 'muster.promotions.CustomerLapsed'").await
    }

    pub(crate) async fn wait_for_events(&self, n: i64) {
        wait_for(&format!("{n} events"), SOON, async || (self.n_events().await >= n).then_some(())).await;
    }

    /// Returns the published events, with the key of each.
    pub(crate) async fn events(&self, at_least: usize) -> Vec<(String, CustomerLapsed)> {
        let registry = Registry::new(
            &events::Config { schema_registry_url: endpoints().schema_registry_url.parse().unwrap() },
            &tls::Trust::none(),
        );
        let decoder = Decoder::new(registry);
        let mut events = Vec::new();
        for record in Kafka::read(self.topics.name("orders.promotions"), at_least).await {
            let event = decoder.decode(record.payload.as_ref().unwrap()).await.unwrap();
            events.push((record.key.unwrap(), event));
        }
        events
    }
}

/// Waits for two more searches of a service: the second one began after this call.
pub(crate) async fn searched(process: &Process) {
    let before = searches(process).await.unwrap_or(0.0);
    wait_for("two more searches", SOON, async || (searches(process).await? >= before + 2.0).then_some(()))
        .await;
}

/// Searches of a service that succeeded; `None` before its first metrics.
pub(crate) async fn searches(process: &Process) -> Option<f64> {
    searches_with(process, "done").await
}

/// Searches of a service with this outcome.
pub(crate) async fn searches_with(process: &Process, outcome: &str) -> Option<f64> {
    let text =
        client().get(format!("{}/metrics", process.admin_url())).send().await.ok()?.text().await.ok()?;
    let name = format!("orders_win_back_searches_total{{outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
}
