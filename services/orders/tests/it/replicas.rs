//! Two replicas on one database.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use testkit::{Kafka, client, wait_for};

use crate::app::{Parts, SOON, id, order};

#[tokio::test]
async fn racing_duplicates_over_two_replicas_place_one_order() {
    let parts = Parts::make().await;
    let (first, second) = (parts.service().spawn().await, parts.service().spawn().await);
    let token = parts.keys.token("acme", &["orders:write", "orders:read"]);
    let urls = [first.http_url(), second.http_url()];
    let posts = (0..20).map(|number| {
        let request = client().post(format!("{}/v1/orders", urls[number % 2])).bearer_auth(&token);
        request.header("Idempotency-Key", "race").json(&order("TEA", 1)).send()
    });
    let mut ids = Vec::new();
    for response in join_all(posts).await {
        let response = response.unwrap();
        if response.status() == StatusCode::ACCEPTED {
            ids.push(response.json::<Value>().await.unwrap()["id"].clone());
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");

    let records = Kafka::read(parts.topics.name("orders.events"), 2).await;
    let types: Vec<_> = records.iter().map(|record| record.headers["event-type"].as_str()).collect();
    assert_eq!(types, ["muster.orders.OrderPlaced", "muster.orders.OrderConfirmed"], "one relay at a time");
}

#[tokio::test]
async fn the_other_replica_goes_on_when_one_is_killed() {
    let parts = Parts::make().await;
    let mut first = parts.service().spawn().await;
    let second = parts.service().spawn().await;
    // The first has the relay's lock; what it took under a lease, and what it had not published, is the other's now.
    let app = parts.with(second);
    first.kill().await;

    let placed = join_all((0..10).map(|_| async { app.place(&order("TEA", 1)).await })).await;
    let settled = join_all(placed.iter().map(|order| app.settled(id(order)))).await;

    assert!(settled.iter().all(|order| order["state"] == "confirmed"));
    let topic = app.topics.name("orders.events");
    assert_eq!(Kafka::read(topic, 20).await.len(), 20);
    wait_for("the outbox to be empty", SOON, async || {
        (app.count("SELECT count(*) FROM outbox").await == 0).then_some(())
    })
    .await;
}
