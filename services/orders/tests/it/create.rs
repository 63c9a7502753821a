//! Placing and reading an order.

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{Kafka, client};

use crate::app::{App, id, order};

#[tokio::test]
async fn an_order_is_accepted_priced_and_confirmed() {
    let app = App::start().await;
    let body = json!({
        "customer_email": "ada@example.com",
        "lines": [{ "sku": "TEA", "quantity": 2 }, { "sku": "CUP", "quantity": 1 }],
    });

    let response = app.post("first", &body).await;

    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(response.headers().contains_key("x-request-id"));
    let placed: Value = response.json().await.unwrap();
    assert_eq!(location, format!("/v1/orders/{}", id(&placed)));
    assert_eq!(placed["state"], "pending");
    assert_eq!(placed["total_minor"], 1_998);
    assert_eq!(placed["currency"], "EUR");
    assert_eq!(placed["lines"][0]["total_minor"], 998);

    let settled = app.settled(id(&placed)).await;
    assert_eq!(settled["state"], "confirmed");
    assert_eq!(settled["placed_at"], placed["placed_at"]);
    let states: Vec<_> =
        settled["history"].as_array().unwrap().iter().map(|change| &change["state"]).collect();
    assert_eq!(states, ["pending", "confirmed"]);
}

#[tokio::test]
async fn every_change_of_state_publishes_an_event_in_order() {
    let app = App::start().await;
    let confirmed = app.place(&order("TEA", 1)).await;
    let rejected = app.place(&order("GONE", 1)).await;

    let records = Kafka::read(app.topics.name("orders.events"), 4).await;

    for (order, last) in [(&confirmed, "OrderConfirmed"), (&rejected, "OrderRejected")] {
        let of_order: Vec<_> =
            records.iter().filter(|record| record.key.as_deref() == Some(id(order))).collect();
        let types: Vec<_> = of_order.iter().map(|record| record.headers["event-type"].as_str()).collect();
        assert_eq!(types, ["muster.orders.OrderPlaced", &format!("muster.orders.{last}")]);
        for record in of_order {
            assert_eq!(record.payload.as_ref().unwrap()[0], 0, "Confluent wire format");
            assert!(record.headers.contains_key("event-id"));
            assert!(record.headers.contains_key("traceparent"));
        }
    }
    assert_eq!(records.len(), 4);
}

#[tokio::test]
async fn events_have_the_trace_and_the_baggage_of_the_request() {
    let app = App::start().await;
    let long = format!("long={}", "v".repeat(8_192));
    let request = client()
        .post(app.url("/v1/orders"))
        .bearer_auth(app.keys.token("acme", &["orders:write"]))
        .header("Idempotency-Key", "traced")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("tracestate", "vendor=opaque, other=1")
        .header("tracestate", "MALFORMED")
        .header("baggage", "k=a=b;prop=1, x=%20y")
        .header("baggage", long);
    let response = request.json(&order("TEA", 1)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);

    let records = Kafka::read(app.topics.name("orders.events"), 2).await;
    for record in records {
        assert!(record.headers["traceparent"].starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        assert_eq!(record.headers["tracestate"], "vendor=opaque,other=1");
        assert_eq!(record.headers["baggage"], "k=a=b;prop=1,x=%20y");
    }
    assert!(!app.process.logs().contains("a=b"), "the baggage is in the log");
}

#[tokio::test]
async fn an_order_of_another_tenant_returns_404() {
    let app = App::start().await;
    let placed = app.place(&order("TEA", 1)).await;
    let stranger = app.keys.token("globex", &["orders:write", "orders:read"]);

    let url = app.url(&format!("/v1/orders/{}", id(&placed)));
    let response = client().get(url).bearer_auth(stranger).send().await.unwrap();

    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_tenant_has_its_own_catalogue_and_keys() {
    let app = App::start().await;
    let ours = app.post("shared-key", &order("TEA", 1)).await;
    let stranger = app.keys.token("globex", &["orders:write"]);

    let request =
        client().post(app.url("/v1/orders")).bearer_auth(stranger).header("Idempotency-Key", "shared-key");
    let theirs = request.json(&order("TEA", 1)).send().await.unwrap();

    assert_eq!(theirs.status(), StatusCode::ACCEPTED);
    assert!(!theirs.headers().contains_key("idempotent-replayed"));
    let (ours, theirs): (Value, Value) = (ours.json().await.unwrap(), theirs.json().await.unwrap());
    assert_eq!((&ours["total_minor"], &theirs["total_minor"]), (&json!(499), &json!(1)));
}
