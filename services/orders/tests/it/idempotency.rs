//! Retries with an idempotency key.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::client;

use crate::app::{App, Parts, order};

#[tokio::test]
async fn a_retry_replays_the_response_and_places_one_order() {
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

/// Holds the lock of a key, like a concurrent retry.
const LOCK_KEY: &str =
    "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('acme' || E'\\x1f' || 'again', 0))";

#[tokio::test]
async fn a_stored_response_is_replayed_while_another_retry_holds_the_lock() {
    let app = App::start().await;
    app.post("again", &order("TEA", 1)).await;
    let other = app.database.connect().await;
    other.batch_execute(LOCK_KEY).await.unwrap();

    let again = app.post("again", &order("TEA", 1)).await;
    let differs = app.post("again", &order("TEA", 2)).await;
    assert_eq!((again.status(), differs.status()), (StatusCode::ACCEPTED, StatusCode::UNPROCESSABLE_ENTITY));
    assert_eq!(again.headers()["idempotent-replayed"], "true");

    let expire = "UPDATE idempotency_keys SET expires_at = now() - interval '1 second'";
    app.database.connect().await.execute(expire, &[]).await.unwrap();
    let expired = app.post("again", &order("TEA", 1)).await;
    assert_eq!(expired.status(), StatusCode::CONFLICT, "other is about to use the key anew");
}

#[tokio::test]
async fn a_quoted_key_and_an_equivalent_json_body_are_the_same_request() {
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
async fn a_reused_key_with_another_body_is_refused_and_the_differences_are_named() {
    let app = App::start().await;
    app.post("mine", &order("TEA", 1)).await;

    let response = app.post("mine", &order("TEA", 2)).await;

    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["code"], "idempotency_key_reused");
    assert!(error["message"].as_str().unwrap().contains("another body"), "{error}");
    let differs = "differs from the first request with this key";
    assert_eq!(error["details"], json!([{"pointer": "/lines/0/quantity", "message": differs}]));
    assert_eq!(app.count("SELECT count(*) FROM orders").await, 1);

    let mut other = order("TEA", 1);
    other["customer_email"] = "eve@example.com".into();
    other["lines"] = json!([{"sku": "TEA", "quantity": 1}, {"sku": "FRANC", "quantity": 1}]);
    let error: Value = app.post("mine", &other).await.json().await.unwrap();
    let pointers: Vec<_> =
        error["details"].as_array().unwrap().iter().map(|detail| &detail["pointer"]).collect();
    assert_eq!(pointers, ["/customer_email", "/lines/1/quantity", "/lines/1/sku"]);
    assert!(!error.to_string().contains("example.com"), "{error}");
}

#[tokio::test]
async fn a_reused_key_of_a_row_from_the_previous_release_names_no_differences() {
    let app = App::start().await;
    app.post("mine", &order("TEA", 1)).await;
    let database = app.database.connect().await;
    // An older replica leaves the column empty; if it replaces an expired row, the column keeps its old value.
    for older in ["NULL", "'{\"\": \"0011223344556677\", \"/customer_email\": \"00\", \"/lines\": \"00\"}'"] {
        database.batch_execute(&format!("UPDATE idempotency_keys SET body_parts = {older}")).await.unwrap();
        let replay = app.post("mine", &order("TEA", 1)).await;
        assert_eq!(replay.headers()["idempotent-replayed"], "true", "{older}");
        let error: Value = app.post("mine", &order("TEA", 2)).await.json().await.unwrap();
        assert_eq!(
            (&error["code"], &error["details"]),
            (&json!("idempotency_key_reused"), &json!([])),
            "{older}"
        );
    }
}

#[tokio::test]
async fn fifty_concurrent_retries_place_one_order() {
    let app = App::start().await;
    let body = order("TEA", 1);
    let responses = join_all((0..50).map(|_| app.post("race", &body))).await;

    let mut ids = Vec::new();
    for response in responses {
        // The pool may also have no connection in time. In both cases, the response asks for a retry.
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
async fn the_key_of_a_refused_request_can_be_reused() {
    let app = App::start().await;
    for wrong in [order("NOT-SOLD", 1), order("TEA", 0), json!({})] {
        assert!(app.post("retry", &wrong).await.status().is_client_error());
    }
    assert_eq!(app.count("SELECT count(*) FROM idempotency_keys").await, 0);

    let response = app.post("retry", &order("TEA", 1)).await;

    assert_eq!(response.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn an_expired_key_can_be_reused() {
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
async fn concurrent_requests_with_an_expired_key_place_one_order() {
    let app = App::start().await;
    app.post("old", &order("TEA", 1)).await;
    let database = app.database.connect().await;
    let expire = "UPDATE idempotency_keys SET expires_at = now() - interval '1 second'";
    database.execute(expire, &[]).await.unwrap();

    let body = order("TEA", 2);
    join_all((0..20).map(|_| app.post("old", &body))).await;
    app.post_until_accepted("old", &body).await;

    assert_eq!(app.count("SELECT count(*) FROM orders").await, 2);
    assert_eq!(app.count("SELECT count(*) FROM idempotency_keys").await, 1);
}

#[tokio::test]
async fn retention_deletes_no_key_that_is_in_use() {
    let parts = Parts::make().await;
    let (first, second) = (parts.service().spawn().await, parts.service());
    let app = parts.with(first);
    for key in 0..20 {
        app.post(&format!("old-{key}"), &order("TEA", 1)).await;
    }
    let database = app.database.connect().await;
    let expire = "UPDATE idempotency_keys SET expires_at = now() - interval '1 second'";
    database.execute(expire, &[]).await.unwrap();

    // A replica runs retention at its start, at the same time as the keys are reused.
    let body = order("TEA", 2);
    let again = join_all((0..20).map(|key| {
        let (app, body) = (&app, &body);
        async move { app.post_until_accepted(&format!("old-{key}"), body).await }
    }));
    let (_replica, placed) = tokio::join!(second.spawn(), again);

    assert_eq!(app.count("SELECT count(*) FROM orders").await, 40);
    for (key, order) in placed.iter().enumerate() {
        let replay = app.post(&format!("old-{key}"), &body).await;
        assert_eq!(replay.headers()["idempotent-replayed"], "true");
        assert_eq!(&replay.json::<Value>().await.unwrap(), order);
    }
}

#[tokio::test]
async fn a_retry_after_a_change_of_the_fingerprint_version_is_replayed() {
    let app = App::start().await;
    app.post("before", &order("TEA", 1)).await;
    let older = "UPDATE idempotency_keys SET fingerprint_version = fingerprint_version - 1, body_hash = ''";
    app.database.connect().await.execute(older, &[]).await.unwrap();

    let replay = app.post("before", &order("TEA", 1)).await;

    assert_eq!(replay.status(), StatusCode::ACCEPTED);
    assert_eq!(replay.headers()["idempotent-replayed"], "true");
}

#[tokio::test]
async fn only_headers_of_the_result_are_stored() {
    let app = App::start().await;
    let first = app.post("mine", &order("TEA", 1)).await;
    let database = app.database.connect().await;
    let row = database.query_one("SELECT headers FROM idempotency_keys", &[]).await.unwrap();
    let headers: Value = row.get(0);
    let location = first.headers()["location"].to_str().unwrap();
    assert_eq!(headers, json!([["content-type", "application/json"], ["location", location]]));
}

#[tokio::test]
async fn keys_are_separate_for_each_tenant_and_independent_of_the_token() {
    let app = App::start().await;
    app.post("shared", &order("TEA", 1)).await;
    for (tenant, replayed) in [("acme", true), ("globex", false)] {
        let token = app.keys.token(tenant, &["orders:write"]);
        let request = client().post(app.url("/v1/orders")).bearer_auth(token);
        let response =
            request.header("Idempotency-Key", "shared").json(&order("TEA", 1)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.headers().contains_key("idempotent-replayed"), replayed, "{tenant}");
    }
}

#[tokio::test]
async fn a_retention_below_the_retry_window_is_refused_at_start_up() {
    let parts = Parts::make().await;
    let output = parts.service().env("IDEMPOTENCY_RETRY_WINDOW_S", "259200").expect_refusal().await;
    assert!(output.contains("IDEMPOTENCY_RETENTION_S (259200) must be greater than"), "{output}");
}

#[tokio::test]
async fn the_outcomes_of_requests_are_counted() {
    let app = App::start().await;
    for quantity in [1, 1, 2] {
        app.post("counted", &order("TEA", quantity)).await;
    }
    let url = format!("{}/metrics", app.process.admin_url());
    let metrics = client().get(url).send().await.unwrap().text().await.unwrap();
    for outcome in ["claimed", "replayed", "mismatch"] {
        let line = format!("idempotency_requests_total{{outcome=\"{outcome}\",route=\"/v1/orders\"}} 1");
        assert!(metrics.contains(&line), "{line}");
    }
}

#[tokio::test]
async fn a_replay_needs_the_same_scope() {
    let app = App::start().await;
    app.post("secret", &order("TEA", 1)).await;
    let reader = app.keys.token("acme", &["orders:read"]);

    let request =
        client().post(app.url("/v1/orders")).bearer_auth(reader).header("Idempotency-Key", "secret");
    let response = request.json(&order("TEA", 1)).send().await.unwrap();

    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(!response.headers().contains_key("location"));
}
