//! What the repetition of a request does.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::client;

use crate::app::{App, Parts, order};

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

/// As another repetition has it at the same moment.
const LOCK_KEY: &str =
    "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('acme' || E'\\x1f' || 'again', 0))";

#[tokio::test]
async fn a_finished_request_is_replayed_while_another_repetition_has_the_lock() {
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
    assert_eq!(expired.status(), StatusCode::CONFLICT, "somebody is about to use the key anew");
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
async fn a_row_that_an_older_replica_wrote_says_less_and_nothing_wrong() {
    let app = App::start().await;
    app.post("mine", &order("TEA", 1)).await;
    let database = app.database.connect().await;
    // An older replica leaves the column empty, or, over an expired row, as it was.
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
async fn of_many_that_find_an_expired_key_one_takes_it() {
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
async fn a_purge_meanwhile_takes_no_key_that_is_in_use() {
    let parts = Parts::make().await;
    let (first, second) = (parts.service().spawn().await, parts.service());
    let app = parts.with(first);
    for key in 0..20 {
        app.post(&format!("old-{key}"), &order("TEA", 1)).await;
    }
    let database = app.database.connect().await;
    let expire = "UPDATE idempotency_keys SET expires_at = now() - interval '1 second'";
    database.execute(expire, &[]).await.unwrap();

    // A replica purges first thing; the keys are used again at the same time.
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
async fn a_retry_across_a_release_that_compares_bodies_differently_is_not_refused() {
    let app = App::start().await;
    app.post("before", &order("TEA", 1)).await;
    let older = "UPDATE idempotency_keys SET fingerprint_version = fingerprint_version - 1, body_hash = ''";
    app.database.connect().await.execute(older, &[]).await.unwrap();

    let replay = app.post("before", &order("TEA", 1)).await;

    assert_eq!(replay.status(), StatusCode::ACCEPTED);
    assert_eq!(replay.headers()["idempotent-replayed"], "true");
}

#[tokio::test]
async fn only_what_belongs_to_the_result_is_stored() {
    let app = App::start().await;
    let first = app.post("mine", &order("TEA", 1)).await;
    let database = app.database.connect().await;
    let row = database.query_one("SELECT headers FROM idempotency_keys", &[]).await.unwrap();
    let headers: Value = row.get(0);
    let location = first.headers()["location"].to_str().unwrap();
    assert_eq!(headers, json!([["content-type", "application/json"], ["location", location]]));
}

#[tokio::test]
async fn a_key_of_one_tenant_says_nothing_to_another_and_survives_a_new_token() {
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
async fn keys_that_are_forgotten_before_they_are_repeated_are_refused_at_start_up() {
    let parts = Parts::make().await;
    let output = parts.service().env("IDEMPOTENCY_RETRY_WINDOW_S", "259200").expect_refusal().await;
    assert!(output.contains("IDEMPOTENCY_RETENTION_S (259200) must be greater than"), "{output}");
}

#[tokio::test]
async fn what_became_of_requests_is_counted() {
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
async fn a_replay_needs_the_permission_of_the_request() {
    let app = App::start().await;
    app.post("secret", &order("TEA", 1)).await;
    let reader = app.keys.token("acme", &["orders:read"]);

    let request =
        client().post(app.url("/v1/orders")).bearer_auth(reader).header("Idempotency-Key", "secret");
    let response = request.json(&order("TEA", 1)).send().await.unwrap();

    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(!response.headers().contains_key("location"));
}
