//! What the repetition of a request does.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::client;

use crate::app::{App, order};

#[tokio::test]
async fn the_same_request_again_gets_the_same_answer_and_places_one_order() {
    let app = App::start().await;
    let first = app.post("again", &order("TEA", 1)).await;
    let again = app.post("again", &order("TEA", 1)).await;

    assert_eq!(again.status(), StatusCode::ACCEPTED);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert!(!first.headers().contains_key("idempotent-replayed"));
    assert_eq!(first.headers()["location"], again.headers()["location"]);
    assert_ne!(first.headers()["x-request-id"], again.headers()["x-request-id"]);
    assert_eq!(first.bytes().await.unwrap(), again.bytes().await.unwrap());
    assert_eq!(app.count("SELECT count(*) FROM orders").await, 1);
}

#[tokio::test]
async fn a_quoted_key_and_another_spelling_of_the_body_are_the_same_request() {
    let app = App::start().await;
    app.post("8e03978e", &order("TEA", 1)).await;

    let request = client().post(app.url("/v1/orders")).bearer_auth(app.token());
    let response = request
        .header("Idempotency-Key", "\"8e03978e\"")
        .header("content-type", "application/json; charset=utf-8")
        .body(r#"{ "lines": [ {"quantity": 1, "sku": "TEA"} ], "customer_email": "ada@example.com" }"#)
        .send()
        .await
        .unwrap();

    assert_eq!(response.headers()["idempotent-replayed"], "true");
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused_and_says_what_differs() {
    let app = App::start().await;
    app.post("mine", &order("TEA", 1)).await;

    let response = app.post("mine", &order("TEA", 2)).await;

    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["code"], "idempotency_key_reused");
    assert!(error["message"].as_str().unwrap().contains("another body"), "{error}");
    assert_eq!(app.count("SELECT count(*) FROM orders").await, 1);
}

#[tokio::test]
async fn fifty_at_once_place_one_order() {
    let app = App::start().await;
    let body = order("TEA", 1);
    let responses = join_all((0..50).map(|_| app.post("race", &body))).await;

    let mut ids = Vec::new();
    for response in responses {
        // A crowd may also find no connection free in time; either way it is told to come back.
        if matches!(response.status(), StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE) {
            assert!(response.headers().contains_key("retry-after"));
        } else {
            assert_eq!(response.status(), StatusCode::ACCEPTED);
            ids.push(response.json::<Value>().await.unwrap()["id"].clone());
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(app.count("SELECT count(*) FROM orders").await, 1);
}

#[tokio::test]
async fn a_refused_request_leaves_no_record_so_its_key_can_be_used_again() {
    let app = App::start().await;
    for wrong in [order("NOT-SOLD", 1), order("TEA", 0), json!({})] {
        assert!(app.post("retry", &wrong).await.status().is_client_error());
    }
    assert_eq!(app.count("SELECT count(*) FROM idempotency_keys").await, 0);

    let response = app.post("retry", &order("TEA", 1)).await;

    assert_eq!(response.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_key_is_free_again_once_it_has_expired() {
    let app = App::start().await;
    app.post("old", &order("TEA", 1)).await;
    let database = app.database.connect().await;
    database
        .execute("UPDATE idempotency_keys SET expires_at = now() - interval '1 second'", &[])
        .await
        .unwrap();

    let response = app.post("old", &order("TEA", 2)).await;

    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(app.count("SELECT count(*) FROM orders").await, 2);
    let replay = app.post("old", &order("TEA", 2)).await;
    assert_eq!(replay.headers()["idempotent-replayed"], "true");
}

#[tokio::test]
async fn a_replay_needs_the_permission_of_the_request() {
    let app = App::start().await;
    app.post("secret", &order("TEA", 1)).await;
    let reader = app.keys.token("acme", &["orders:read"]);

    let request =
        client().post(app.url("/v1/orders")).bearer_auth(reader).header("Idempotency-Key", "secret");
    let response = request.json(&order("TEA", 1)).send().await.unwrap();

    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}
