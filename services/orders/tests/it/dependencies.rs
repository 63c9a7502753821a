//! Outages of dependencies.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{Database, FaultProxy, Kafka, PrivateKafka, client, endpoints, wait_for};

use crate::app::{App, Parts, SOON, id, order};

/// Maximum wait for a 503: the request timeout, and a margin for a busy machine.
const QUICKLY: Duration = Duration::from_secs(8);

async fn readiness(app: &App) -> (StatusCode, Value) {
    let response = client().get(format!("{}/ready", app.process.admin_url())).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// Waits until readiness reports only this dependency as down.
async fn reported_down(app: &App, dependency: &str) -> StatusCode {
    wait_for(&format!("readiness to name {dependency}"), SOON, async || {
        let (status, report) = readiness(app).await;
        let down: Vec<_> = report["checks"].as_object()?.iter().filter(|(_, check)| *check != "ok").collect();
        (down.len() == 1 && down[0].0 == dependency).then_some(status)
    })
    .await
}

async fn refused_quickly(app: &App, key: &str) {
    let started = Instant::now();
    let response = app.post(key, &order("TEA", 1)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert!(started.elapsed() < QUICKLY, "{:?}", started.elapsed());
    let error: Value = response.json().await.unwrap();
    assert!(!error.to_string().to_lowercase().contains("postgres"), "inner causes stay inside: {error}");
}

async fn start_behind_proxy() -> (App, FaultProxy) {
    let proxy = FaultProxy::start(Database::server()).await;
    let parts = Parts::make().await;
    let url = parts.database.url_through(proxy.addr());
    let process = parts.service().env("DATABASE_URL", url).spawn().await;
    (parts.with(process), proxy)
}

#[tokio::test]
async fn while_postgresql_refuses_connections_requests_return_503() {
    let (app, proxy) = start_behind_proxy().await;
    let before = app.place(&order("TEA", 1)).await;

    proxy.cut();
    refused_quickly(&app, "while-down").await;
    assert_eq!(reported_down(&app, "postgres").await, StatusCode::SERVICE_UNAVAILABLE);

    proxy.restore();
    let after = app.post_until_accepted("while-down", &order("TEA", 1)).await;
    for order in [&before, &after] {
        assert_eq!(app.settled(id(order)).await["state"], "confirmed");
    }
    assert_eq!(app.count("SELECT count(*) FROM orders").await, 2);
}

#[tokio::test]
async fn while_postgresql_does_not_answer_requests_return_503_in_time() {
    let (app, proxy) = start_behind_proxy().await;
    app.place(&order("TEA", 1)).await;

    proxy.black_hole();
    refused_quickly(&app, "while-silent").await;

    proxy.restore();
    let after = app.post_until_accepted("while-silent", &order("TEA", 1)).await;
    assert_eq!(app.settled(id(&after)).await["state"], "confirmed");
    assert_eq!(app.count("SELECT count(*) FROM orders").await, 2);
}

#[tokio::test]
async fn the_service_starts_while_postgresql_is_down() {
    let proxy = FaultProxy::start(Database::server()).await;
    proxy.cut();
    let parts = Parts::make().await;
    let url = parts.database.url_through(proxy.addr());
    let process = parts.service().env("DATABASE_URL", url).without_readiness().spawn().await;
    let app = parts.with(process);

    refused_quickly(&app, "early").await;

    proxy.restore();
    let placed = app.post_until_accepted("early", &order("TEA", 1)).await;
    assert_eq!(app.settled(id(&placed)).await["state"], "confirmed");
}

#[tokio::test]
async fn the_service_starts_while_the_schema_registry_is_down() {
    let upstream = endpoints().schema_registry_url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let proxy = FaultProxy::start(upstream.0).await;
    proxy.cut();
    let parts = Parts::make().await;
    let url = format!("http://{}/{}", proxy.addr(), upstream.1);
    let process = parts.service().env("SCHEMA_REGISTRY_URL", url).without_readiness().spawn().await;
    let app = parts.with(process);

    refused_quickly(&app, "early").await;
    reported_down(&app, "schema-registry").await;

    proxy.restore();
    let placed = app.post_until_accepted("early", &order("TEA", 1)).await;
    assert_eq!(app.settled(id(&placed)).await["state"], "confirmed");

    // The schema ids are cached now; the registry is not needed any more.
    proxy.cut();
    let placed = app.place(&order("TEA", 1)).await;
    assert_eq!(app.settled(id(&placed)).await["state"], "confirmed");
}

#[tokio::test]
async fn a_schema_that_conflicts_with_the_registry_stops_the_service_with_the_reason() {
    let parts = Parts::make().await;
    let subject = format!("{}-muster.orders.OrderPlaced", parts.topics.name("orders.events"));
    let field = r#"{"name": "placed_at", "type": "string"}"#;
    let other = format!(
        r#"{{"type": "record", "name": "OrderPlaced", "namespace": "muster.orders", "fields": [{field}]}}"#
    );
    let url = format!("{}/subjects/{subject}/versions", endpoints().schema_registry_url);
    let registered = client().post(url).json(&json!({ "schema": other })).send().await.unwrap();
    assert!(registered.status().is_success(), "{registered:?}");

    let said = parts.service().expect_refusal().await;
    assert!(said.contains(&format!("the schema of {subject} is incompatible")), "{said}");
    assert!(said.contains("make schemas/check"), "{said}");
}

#[tokio::test]
async fn while_kafka_is_down_orders_are_accepted_and_published_later() {
    let mut kafka = PrivateKafka::start().await;
    let parts = Parts::make().await;
    let topic = parts.topics.name("orders.events").to_owned();
    kafka.create_topic(&topic, 3).await;
    let process = parts.service().env("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers()).spawn().await;
    let app = parts.with(process);
    let before = app.place(&order("TEA", 1)).await;
    app.settled(id(&before)).await;

    kafka.kill().await;
    let during = app.place(&order("TEA", 1)).await;
    assert_eq!(app.settled(id(&during)).await["state"], "confirmed", "orders go on without Kafka");
    let status = reported_down(&app, "kafka").await;
    assert_eq!(status, StatusCode::OK, "the API serves, so the service stays in rotation");

    kafka.restart().await;
    let records = Kafka::read_at(&kafka.bootstrap_servers(), &topic, 4).await;
    for order in [&before, &during] {
        let of_order = records.iter().filter(|record| record.key.as_deref() == Some(id(order)));
        let mut types: Vec<_> = of_order.map(|record| record.headers["event-type"].clone()).collect();
        types.dedup();
        assert_eq!(types, ["muster.orders.OrderPlaced", "muster.orders.OrderConfirmed"]);
    }
}
