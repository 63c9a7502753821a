//! Transfers that are refused. A refused transfer changes nothing, and its key can be used again.

use serde_json::json;

use crate::app::{App, new_key, transfer};

/// The largest amount and the largest balance.
const MAX: i64 = 9_007_199_254_740_991;

#[tokio::test]
async fn a_transfer_above_the_available_balance_is_refused() {
    let app = App::start().await;
    let (source, destination) = (app.funded(500).await, app.open("EUR", false).await);
    let key = new_key();
    let refused = app.post("/v1/transfers", &key, &transfer(&source, &destination, 501)).await;
    refused.assert_error(409, "insufficient_funds", &[]);

    let stall = app.stall().await;
    let held = app.accepted(&source, &destination, 300).await;
    app.transfer(&source, &destination, 201).await.assert_error(409, "insufficient_funds", &[]);
    let corrected = app.post("/v1/transfers", &key, &transfer(&source, &destination, 200)).await;
    assert_eq!(corrected.status, 202, "{corrected:?}");
    stall.end().await;
    for id in [held, corrected.id()] {
        assert_eq!(app.settled(&id).await["state"], "succeeded");
    }
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((0, 0), (500, 500)));
}

#[tokio::test]
async fn a_frozen_or_closed_account_sends_and_receives_nothing() {
    let app = App::start().await;
    for (state, code) in [("frozen", "account_frozen"), ("closed", "account_closed")] {
        let (blocked, other) = (app.open("EUR", true).await, app.open("EUR", true).await);
        app.set_state(&blocked, state).await;
        app.transfer(&blocked, &other, 1).await.assert_error(409, code, &["/source"]);
        app.transfer(&other, &blocked, 1).await.assert_error(409, code, &["/destination"]);
    }
    assert_eq!(app.count("SELECT count(*) FROM transfers").await, 0);
}

#[tokio::test]
async fn amount_and_accounts_have_one_currency() {
    let app = App::start().await;
    let (euros, francs) = (app.open("EUR", true).await, app.open("CHF", true).await);
    app.transfer(&francs, &euros, 1).await.assert_error(422, "currency_mismatch", &["/source"]);
    app.transfer(&euros, &francs, 1).await.assert_error(422, "currency_mismatch", &["/destination"]);
}

#[tokio::test]
async fn an_unknown_account_is_named() {
    let app = App::start().await;
    let (known, unknown) = (app.open("EUR", true).await, new_key());
    app.transfer(&unknown, &known, 1).await.assert_error(422, "unknown_account", &["/source"]);
    app.transfer(&known, &unknown, 1).await.assert_error(422, "unknown_account", &["/destination"]);
}

#[tokio::test]
async fn an_invalid_transfer_is_refused_with_all_its_faults() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", true).await);
    for amount in [0, -1, MAX + 1] {
        let refused = app.transfer(&source, &destination, amount).await;
        refused.assert_error(400, "invalid_request", &["/amount/value"]);
    }
    app.transfer(&source, &source, 1).await.assert_error(400, "invalid_request", &["/destination"]);
    let body = json!({ "source": "seven", "amount": { "value": 1.5, "currency": "EUX" }, "reference": "" });
    app.post("/v1/transfers", &new_key(), &body).await.assert_error(
        400,
        "invalid_request",
        &["/source", "/destination", "/amount/value", "/amount/currency", "/reference"],
    );
    assert_eq!(app.count("SELECT count(*) FROM transfers").await, 0);
}

#[tokio::test]
async fn a_balance_has_a_limit_in_both_directions() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", true).await);
    app.paid(&source, &destination, MAX).await;
    assert_eq!(app.balance(&source).await, (-MAX, -MAX));

    let other = app.open("EUR", true).await;
    app.transfer(&source, &other, 1).await.assert_error(409, "balance_limit", &["/source"]);
    app.transfer(&other, &destination, 1).await.assert_error(409, "balance_limit", &["/destination"]);
    app.paid(&destination, &source, MAX).await;
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((0, 0), (0, 0)));
}

#[tokio::test]
async fn a_pending_transfer_fails_when_the_destination_would_exceed_the_limit() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", true).await);
    let other = app.open("EUR", true).await;
    let stall = app.stall().await;
    let transfers =
        [app.accepted(&source, &destination, MAX).await, app.accepted(&other, &destination, MAX).await];
    stall.end().await;
    let mut outcomes = Vec::new();
    for id in &transfers {
        let settled = app.settled(id).await;
        outcomes.push((settled["state"].clone(), settled["failure_reason"].clone()));
    }
    outcomes.sort_by_key(|(state, _)| state.to_string());
    assert_eq!(outcomes, [(json!("failed"), json!("balance_limit")), (json!("succeeded"), json!(null))]);
    assert_eq!(app.balance(&destination).await, (MAX, MAX));
    app.assert_sound().await;
}
