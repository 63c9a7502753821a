//! Freezing, opening and closing accounts.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::app::{App, send};

#[tokio::test]
async fn a_frozen_account_can_be_opened_again() {
    let app = App::start().await;
    let account = app.funded(500).await;
    for state in ["frozen", "frozen", "open", "open"] {
        let changed = app.set_state(&account, state).await;
        assert_eq!((changed.status, &changed.body["state"]), (StatusCode::OK, &json!(state)), "{changed:?}");
        assert_eq!(app.account(&account).await, changed.body);
    }
}

#[tokio::test]
async fn an_account_is_closed_with_a_balance_of_zero_only() {
    let app = App::start().await;
    let (account, other) = (app.funded(500).await, app.open("EUR", false).await);
    app.set_state(&account, "closed").await.assert_error(409, "account_in_use", &[]);

    app.paid(&account, &other, 500).await;
    assert_eq!(app.set_state(&account, "closed").await.body["state"], "closed");
    assert_eq!(app.set_state(&account, "closed").await.status, StatusCode::OK, "a repetition");
    for state in ["open", "frozen"] {
        app.set_state(&account, state).await.assert_error(409, "account_closed", &[]);
    }
}

#[tokio::test]
async fn an_account_with_a_pending_transfer_is_not_closed() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let stall = app.stall().await;
    let transfer = app.accepted(&source, &destination, 500).await;
    for account in [&source, &destination] {
        app.set_state(account, "closed").await.assert_error(409, "account_in_use", &[]);
    }
    stall.end().await;
    assert_eq!(app.settled(&transfer).await["state"], "succeeded");
}

#[tokio::test]
async fn if_match_changes_only_the_version_that_the_client_knows() {
    let app = App::start().await;
    let (source, account) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let path = format!("/v1/accounts/{account}");
    let freeze = async |tag: &str| {
        let request = app.request(Method::PATCH, &path).header("If-Match", tag);
        send(request.json(&json!({ "state": "frozen" }))).await
    };
    let empty = app.get(&path).await.header("etag").to_owned();
    app.paid(&source, &account, 500).await;
    freeze(&empty).await.assert_error(412, "precondition_failed", &[]);
    assert_eq!(app.account(&account).await["state"], "open");

    let paid = app.get(&path).await.header("etag").to_owned();
    assert_eq!(freeze(&paid).await.body["state"], "frozen");
    assert_eq!(freeze(&paid).await.status, StatusCode::OK, "the retry of a lost response");
}

#[tokio::test]
async fn an_unknown_state_is_refused() {
    let app = App::start().await;
    let account = app.open("EUR", false).await;
    app.set_state(&account, "gone").await.assert_error(400, "invalid_request", &["/state"]);
}
