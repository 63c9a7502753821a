//! Outages of dependencies delay transfers and lose none.

use reqwest::StatusCode;
use serde_json::Value;
use testkit::{Database, FaultProxy, Kafka, PrivateKafka, client, endpoints, wait_for};

use crate::app::{App, SOON, new_key, transfer};

/// Waits until readiness reports only this dependency as down, and returns its status.
async fn reported_down(app: &App, dependency: &str) -> StatusCode {
    wait_for(&format!("readiness to name {dependency}"), SOON, async || {
        let response = client().get(format!("{}/ready", app.process.admin_url())).send().await.unwrap();
        let (status, report) = (response.status(), response.json::<Value>().await.unwrap());
        let down: Vec<_> = report["checks"].as_object()?.iter().filter(|(_, check)| *check != "ok").collect();
        (down.len() == 1 && down[0].0 == dependency).then_some(status)
    })
    .await
}

#[tokio::test]
async fn while_postgresql_is_down_requests_return_503_and_accepted_transfers_wait() {
    let proxy = FaultProxy::start(Database::server()).await;
    let app = App::start_with(async |database, service| {
        service.env("DATABASE_URL", database.url_through(proxy.addr()))
    })
    .await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let stall = app.stall().await;
    let before = app.accepted(&source, &destination, 1).await;

    proxy.cut();
    let (key, body) = (new_key(), transfer(&source, &destination, 2));
    let refused = app.post("/v1/transfers", &key, &body).await;
    refused.assert_error(503, "unavailable", &[]);
    assert!(!refused.header("retry-after").is_empty(), "{refused:?}");
    assert_eq!(reported_down(&app, "postgres").await, StatusCode::SERVICE_UNAVAILABLE);
    stall.end().await;

    proxy.restore();
    let after = wait_for("the transfer to be accepted", SOON, async || {
        let answer = app.post("/v1/transfers", &key, &body).await;
        (answer.status == StatusCode::ACCEPTED).then(|| answer.id())
    })
    .await;
    for id in [&before, &after] {
        assert_eq!(app.settled(id).await["state"], "succeeded");
    }
    assert_eq!(app.balance(&destination).await, (3, 3));
    app.assert_sound().await;
}

#[tokio::test]
async fn while_the_schema_registry_is_down_transfers_are_accepted_and_wait() {
    let upstream = endpoints().schema_registry_url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let proxy = FaultProxy::start(upstream.0).await;
    proxy.cut();
    let url = format!("http://{}/{}", proxy.addr(), upstream.1);
    let app =
        App::start_with(async |_, service| service.env("SCHEMA_REGISTRY_URL", url).without_readiness()).await;
    reported_down(&app, "schema-registry").await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let waiting = app.accepted(&source, &destination, 1).await;
    assert_eq!(app.balance(&source).await, (0, -1));

    proxy.restore();
    assert_eq!(app.settled(&waiting).await["state"], "succeeded");

    // The schema ids are known now; the registry is not needed any more.
    proxy.cut();
    app.paid(&source, &destination, 2).await;
}

#[tokio::test]
async fn while_kafka_is_down_transfers_are_settled_and_published_later() {
    let mut kafka = PrivateKafka::start().await;
    kafka.create_topic("payments.events", 3).await;
    let servers = kafka.bootstrap_servers();
    let app = App::start_with(async |_, service| {
        service.env("KAFKA_BOOTSTRAP_SERVERS", &servers).env("LEDGER_EVENTS_TOPIC", "payments.events")
    })
    .await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let before = app.paid(&source, &destination, 1).await;

    kafka.kill().await;
    let during = app.paid(&source, &destination, 2).await;
    let status = reported_down(&app, "kafka").await;
    assert_eq!(status, StatusCode::OK, "the API serves, so the service stays in rotation");

    kafka.restart().await;
    let records = Kafka::read_at(&servers, "payments.events", 2).await;
    for id in [&before, &during] {
        assert!(records.iter().any(|record| record.key.as_ref() == Some(id)), "{records:?}");
    }
}
