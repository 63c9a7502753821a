//! New orders are refused while too many events wait for Kafka, and accepted again when they are published.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use reqwest::{Response, StatusCode};
use serde_json::Value;
use testkit::{Kafka, PrivateKafka, client, wait_for};

use crate::app::{App, Parts, SOON, id, order};

/// Longest `Retry-After` in these tests, in seconds.
const MAX_RETRY_AFTER: &str = "4";

struct Shop {
    kafka: PrivateKafka,
    topic: String,
    app: App,
}

impl Shop {
    async fn start(bounds: &[(&str, &str)]) -> Self {
        let kafka = PrivateKafka::start().await;
        let parts = Parts::make().await;
        let topic = parts.topics.name("orders.events").to_owned();
        kafka.create_topic(&topic, 3).await;
        let service = parts.service().env("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers());
        let service = service.env("ORDERS_MAX_RETRY_AFTER_S", MAX_RETRY_AFTER);
        let service = bounds.iter().fold(service, |service, (name, value)| service.env(name, value));
        let process = service.spawn().await;
        Self { kafka, topic, app: parts.with(process) }
    }

    /// Places an order each time until one is refused; returns the accepted ones with their keys, and the refusal.
    async fn place_until_refused(&self) -> (Vec<(String, Value)>, (String, Response)) {
        let started = Instant::now();
        let mut accepted = Vec::new();
        while started.elapsed() < SOON {
            let key = format!("order-{}", accepted.len());
            let response = self.app.post(&key, &order("TEA", 1)).await;
            if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                return (accepted, (key, response));
            }
            assert_eq!(response.status(), StatusCode::ACCEPTED);
            accepted.push((key, response.json().await.unwrap()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} orders were accepted", accepted.len());
    }

    /// Checks that nothing is lost: each order has its two events.
    async fn assert_published(&self, n_orders: usize) {
        self.app.published().await;
        assert_eq!(self.app.count("SELECT count(*) FROM orders").await, i64::try_from(n_orders).unwrap());
        let records = Kafka::read_at(&self.kafka.bootstrap_servers(), &self.topic, n_orders * 2).await;
        let events: BTreeSet<_> = records.iter().map(|record| record.headers["event-id"].clone()).collect();
        assert_eq!(events.len(), n_orders * 2);
    }

    async fn metric(&self, name: &str) -> f64 {
        let url = format!("{}/metrics", self.app.process.admin_url());
        let metrics = client().get(url).send().await.unwrap().text().await.unwrap();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().parse().unwrap()
    }
}

fn retry_after(refused: &Response) -> u64 {
    refused.headers()["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn above_the_bound_new_orders_are_refused_and_replays_and_reads_are_answered() {
    let mut shop = Shop::start(&[("ORDERS_MAX_UNPUBLISHED_EVENTS", "20")]).await;
    let before = shop.app.place(&order("TEA", 1)).await;
    shop.app.published().await;
    shop.kafka.kill().await;

    let (accepted, (refused_key, refused)) = shop.place_until_refused().await;
    // Nothing is published, so it is near the maximum: three to four seconds.
    assert!((3..=4).contains(&retry_after(&refused)), "{refused:?}");
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "backlog_full");
    assert!(accepted.len() >= 5, "an outage that is short refuses nothing: {}", accepted.len());

    let (key, first) = accepted.last().unwrap();
    let replayed = shop.app.post(key, &order("TEA", 1)).await;
    assert_eq!(replayed.status(), StatusCode::ACCEPTED);
    assert_eq!(replayed.headers()["idempotent-replayed"], "true");
    assert_eq!(id(&replayed.json().await.unwrap()), id(first));
    assert_eq!(shop.app.settled(id(first)).await["state"], "confirmed");
    assert!((shop.metric("orders_blocked").await - 1.0).abs() < f64::EPSILON);
    assert!(shop.metric("orders_blocked_requests_total").await >= 1.0);
    assert!(shop.metric("outbox_unpublished_rows").await >= 16.0);

    shop.kafka.restart().await;
    let late = shop.app.post_until_accepted(&refused_key, &order("TEA", 1)).await;
    assert_ne!(id(&late), id(&before));
    shop.app.settled(id(&late)).await;
    shop.assert_published(accepted.len() + 2).await;
    wait_for("the gauge", SOON, async || (shop.metric("orders_blocked").await < 0.5).then_some(())).await;
}

#[tokio::test]
async fn orders_are_refused_when_publishing_stands_still_for_too_long() {
    let mut shop = Shop::start(&[("ORDERS_MAX_UNPUBLISHED_AGE_S", "5")]).await;
    shop.kafka.kill().await;
    let outage = Instant::now();

    let (accepted, (refused_key, _)) = shop.place_until_refused().await;
    assert!(outage.elapsed() >= Duration::from_secs(5), "{:?}", outage.elapsed());

    shop.kafka.restart().await;
    let late = shop.app.post_until_accepted(&refused_key, &order("TEA", 1)).await;
    shop.app.settled(id(&late)).await;
    shop.assert_published(accepted.len() + 1).await;
}

#[tokio::test]
async fn a_bound_that_makes_no_sense_stops_the_service_with_the_reason() {
    let parts = Parts::make().await;
    let said = parts.service().env("ORDERS_MAX_UNPUBLISHED_EVENTS", "0").expect_refusal().await;
    assert!(said.contains("--orders-max-unpublished-events"), "{said}");
}
