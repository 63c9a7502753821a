//! Two replicas on one database.

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use testkit::{Kafka, client};

use crate::app::{Parts, id, order};

#[tokio::test]
async fn concurrent_retries_on_two_replicas_place_one_order() {
    let parts = Parts::make().await;
    let (first, second) = (parts.service().spawn().await, parts.service().spawn().await);
    let token = parts.keys.token("acme", &["orders:write", "orders:read"]);
    let urls = [first.http_url(), second.http_url()];
    let posts = (0..50).map(|number| {
        let request = client().post(format!("{}/v1/orders", urls[number % 2])).bearer_auth(&token);
        request.header("Idempotency-Key", "race").json(&order("TEA", 1)).send()
    });
    let mut ids = Vec::new();
    for response in join_all(posts).await {
        let response = response.unwrap();
        if response.status() == StatusCode::ACCEPTED {
            ids.push(response.json::<Value>().await.unwrap()["id"].clone());
        } else {
            // The pool may also have no connection in time. In both cases, the response asks for a retry.
            let told = matches!(response.status(), StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE);
            assert!(told && response.headers().contains_key("retry-after"), "{response:?}");
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");

    let app = parts.with(first);
    app.published().await;
    let records = Kafka::read(app.topics.name("orders.events"), 2).await;
    let types: Vec<_> = records.iter().map(|record| record.headers["event-type"].as_str()).collect();
    assert_eq!(types, ["muster.orders.OrderPlaced", "muster.orders.OrderConfirmed"], "each once");
}

#[tokio::test]
async fn another_replica_finishes_the_orders_of_a_killed_one() {
    // With a claimed order, and with events that the broker has and whose position is not written.
    for point in ["orders.process.taken", "outbox.published"] {
        let parts = Parts::make().await;
        let mut first = parts.service().env("MUSTER_FAIL_POINTS", format!("{point}=kill")).spawn().await;
        let second = parts.service().spawn().await;
        let token = parts.keys.token("acme", &["orders:write"]);
        let post = client().post(format!("{}/v1/orders", first.http_url())).bearer_auth(token);
        let last = post.header("Idempotency-Key", "last").json(&order("TEA", 1)).send().await;
        let app = parts.with(second);

        // The first replica may not have responded. It is killed if it, and not the other one, processes an order first.
        drop(last);
        let placed = app.post_until_accepted("last", &order("TEA", 1)).await;
        let rest = join_all((0..10).map(|_| async { app.place(&order("TEA", 1)).await })).await;
        for order in rest.iter().chain([&placed]) {
            assert_eq!(app.settled(id(order)).await["state"], "confirmed", "{point}");
        }
        first.kill().await;
        app.published().await;
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 11, "{point}");
        assert_eq!(app.count("SELECT count(*) FROM stock_reservations").await, 11, "{point}");
        let records = Kafka::read(app.topics.name("orders.events"), 22).await;
        let ids: BTreeSet<_> = records.iter().map(|record| &record.headers["event-id"]).collect();
        assert_eq!(ids.len(), 22, "{point}: each event once, apart from duplicates");
    }
}
