//! Making and reading transfers.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{App, new_key, send, transfer};

#[tokio::test]
async fn an_accepted_amount_is_held_and_then_posted() {
    let app = App::start().await;
    let (source, destination) = (app.funded(500).await, app.open("EUR", false).await);
    let stall = app.stall().await;

    let accepted = app.transfer(&source, &destination, 300).await;

    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{accepted:?}");
    let id = accepted.id();
    assert_eq!(accepted.header("location"), format!("/v1/transfers/{id}"));
    for (member, expected) in [
        ("state", json!("pending")),
        ("source", json!(source)),
        ("destination", json!(destination)),
        ("amount", json!({ "value": 300, "currency": "EUR" })),
        ("reference", json!("Invoice 7")),
        ("failure_reason", Value::Null),
        ("reverses", Value::Null),
    ] {
        assert_eq!(accepted.body[member], expected, "{member}");
    }
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((500, 200), (0, 0)));
    let pending = app.get(&format!("/v1/transfers/{id}")).await;
    assert_eq!((&pending.body, pending.header("retry-after")), (&accepted.body, "1"));

    stall.end().await;
    let settled = app.settled(&id).await;
    assert_eq!(settled["state"], "succeeded");
    assert!(settled["updated_at"].as_str() > settled["created_at"].as_str(), "{settled}");
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((200, 200), (300, 300)));
    app.assert_sound().await;
}

#[tokio::test]
async fn the_etag_of_a_transfer_changes_when_it_is_settled() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let stall = app.stall().await;
    let id = app.accepted(&source, &destination, 300).await;
    let path = format!("/v1/transfers/{id}");
    let tag = app.get(&path).await.header("etag").to_owned();
    let poll = || send(app.request(Method::GET, &path).header("If-None-Match", &tag));

    let unchanged = poll().await;
    assert_eq!((unchanged.status, unchanged.header("retry-after")), (StatusCode::NOT_MODIFIED, "1"));
    stall.end().await;
    app.settled(&id).await;
    let changed = poll().await;
    assert_eq!((changed.status, changed.header("retry-after")), (StatusCode::OK, ""));
}

#[tokio::test]
async fn a_pending_transfer_fails_when_an_account_is_frozen_meanwhile() {
    let app = App::start().await;
    for frozen in ["source", "destination"] {
        let (source, destination) = (app.funded(500).await, app.open("EUR", false).await);
        let stall = app.stall().await;
        let id = app.accepted(&source, &destination, 300).await;
        let account = if frozen == "source" { &source } else { &destination };
        assert_eq!(app.set_state(account, "frozen").await.status, StatusCode::OK);
        stall.end().await;

        let settled = app.settled(&id).await;
        assert_eq!(
            (&settled["state"], &settled["failure_reason"]),
            (&json!("failed"), &json!("account_frozen"))
        );
        assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((500, 500), (0, 0)));
    }
    app.assert_sound().await;
}

#[tokio::test]
async fn a_transfer_of_another_tenant_is_not_found() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let id = app.paid(&source, &destination, 300).await;
    for id in [id.as_str(), "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11"] {
        let path = format!("/v1/transfers/{id}");
        send(app.request_of("globex", Method::GET, &path)).await.assert_error(404, "not_found", &[]);
        let reversal = app.request_of("globex", Method::POST, &format!("{path}/reversal"));
        send(reversal.header("Idempotency-Key", new_key())).await.assert_error(404, "not_found", &[]);
    }
    app.get("/v1/transfers/seven").await.assert_error(404, "not_found", &["/path/transfer_id"]);
}

#[tokio::test]
async fn a_transfer_uses_accounts_of_its_tenant_only() {
    let app = App::start().await;
    let (ours, theirs) = (app.funded(500).await, app.open_of("globex", "EUR", true).await);
    app.transfer(&theirs, &ours, 300).await.assert_error(422, "unknown_account", &["/source"]);
    app.transfer(&ours, &theirs, 300).await.assert_error(422, "unknown_account", &["/destination"]);
    let request = app.request_of("globex", Method::POST, "/v1/transfers");
    let stolen = request.header("Idempotency-Key", new_key()).json(&transfer(&ours, &theirs, 300));
    send(stolen).await.assert_error(422, "unknown_account", &["/source"]);
    assert_eq!(app.balance(&ours).await, (500, 500));
}
