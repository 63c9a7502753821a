//! Retries with one key.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use crate::app::{App, new_key, transfer};

#[tokio::test]
async fn retries_of_a_transfer_make_one_transfer() {
    let app = App::start().await;
    let (source, destination) = (app.funded(500).await, app.open("EUR", false).await);
    let body = transfer(&source, &destination, 300);

    let first = app.post("/v1/transfers", "one-key", &body).await;
    app.settled(&first.id()).await;
    let retried = app.post("/v1/transfers", "one-key", &body).await;

    assert_eq!((retried.status, retried.header("idempotent-replayed")), (StatusCode::ACCEPTED, "true"));
    assert_eq!((&retried.body, retried.header("location")), (&first.body, first.header("location")));
    let other = app.post("/v1/transfers", "one-key", &transfer(&source, &destination, 301)).await;
    assert_eq!(
        (other.status, &other.body["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_key_reused"))
    );
    assert_eq!(app.balance(&source).await, (200, 200));
}

#[tokio::test]
async fn concurrent_retries_on_two_replicas_make_one_transfer() {
    let app = App::start().await;
    let replica = app.replica().await;
    let (source, destination) = (app.funded(500).await, app.open("EUR", false).await);
    let body = transfer(&source, &destination, 300);
    let urls = [app.process.http_url(), replica.http_url()];
    let token = app.keys.token("acme", &["transfers:write"]);
    let posts = (0..20).map(|number| {
        let request =
            testkit::client().post(format!("{}/v1/transfers", urls[number % 2])).bearer_auth(&token);
        request.header("Idempotency-Key", "race").json(&body).send()
    });
    for response in join_all(posts).await {
        let response = response.unwrap();
        // Without a connection or the lock of the key in time, the response asks for a retry.
        let told = response.headers().contains_key("retry-after");
        assert!(response.status() == StatusCode::ACCEPTED || told, "{response:?}");
    }
    let first = app.post("/v1/transfers", "race", &body).await;
    app.settled(&first.id()).await;
    assert_eq!(app.count("SELECT count(*) FROM transfers WHERE amount = 300").await, 1);
    assert_eq!(app.balance(&source).await, (200, 200));
}

#[tokio::test]
async fn retries_of_an_account_create_one_account() {
    let app = App::start().await;
    let body = json!({ "kind": "customer", "currency": "EUR", "may_overdraw": false });
    let first = app.post("/v1/accounts", "one-key", &body).await;
    let retried = app.post("/v1/accounts", "one-key", &body).await;
    assert_eq!((retried.status, &retried.body), (StatusCode::CREATED, &first.body));
    assert_eq!(app.count("SELECT count(*) FROM accounts").await, 1);
}

#[tokio::test]
async fn the_key_of_a_reversal_belongs_to_its_transfer() {
    let app = App::start().await;
    let (source, destination) = (app.funded(500).await, app.open("EUR", false).await);
    let (one, other) = (app.paid(&source, &destination, 1).await, app.paid(&source, &destination, 2).await);
    let first = app.reverse(&one, "one-key").await;
    assert_eq!(app.reverse(&one, "one-key").await.id(), first.id());
    let refused = app.reverse(&other, "one-key").await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (422, &json!("idempotency_key_reused")));
}

#[tokio::test]
async fn a_post_needs_a_key() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let id = app.paid(&source, &destination, 1).await;
    for path in ["/v1/accounts", "/v1/transfers", &format!("/v1/transfers/{id}/reversal")] {
        let request = app.request(reqwest::Method::POST, path).json(&transfer(&source, &destination, 1));
        let refused = crate::app::send(request).await;
        assert_eq!(refused.body["code"], "missing_idempotency_key", "{path}");
    }
    assert_eq!(app.post("/v1/transfers", &new_key(), &transfer(&source, &destination, 1)).await.status, 202);
}
