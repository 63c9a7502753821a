//! The exact texts of messages about invalid values. Tests of `libs/api-error` contain the texts that all services share.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Answer, App, new_key, send, transfer};

/// Checks the details of an error, each a JSON pointer and its message.
#[track_caller]
fn assert_details(answer: &Answer, code: &str, details: &[(&str, &str)]) {
    let expected: Vec<_> =
        details.iter().map(|(pointer, message)| json!({"pointer": pointer, "message": message})).collect();
    assert_eq!((&answer.body["code"], &answer.body["details"]), (&json!(code), &Value::from(expected)));
}

const UUID: &str = "must be a UUID, such as 0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11";

#[tokio::test]
async fn messages_about_an_account() {
    let app = App::start().await;
    let body = json!({ "name": "", "kind": "savings", "currency": "eur", "may_overdraw": 1, "iban": "x" });
    assert_details(
        &app.post("/v1/accounts", &new_key(), &body).await,
        "invalid_request",
        &[
            ("/name", "must have 1 to 200 characters"),
            ("/kind", "must be customer, merchant or clearing"),
            (
                "/currency",
                "`eur` is not the code of a currency in ISO 4217 that has a minor unit, such as EUR",
            ),
            ("/may_overdraw", "must be a boolean, not a number"),
            ("/iban", "is unknown; known are: name, kind, currency and may_overdraw"),
        ],
    );
    let body = json!({ "name": "a\tb", "kind": "customer", "currency": "EUR", "may_overdraw": true });
    let answer = app.post("/v1/accounts", &new_key(), &body).await;
    assert_details(
        &answer,
        "invalid_request",
        &[("/name", "must not contain control characters such as line breaks")],
    );
    let account = app.open("EUR", false).await;
    let answer = app.set_state(&account, "gone").await;
    assert_details(&answer, "invalid_request", &[("/state", "must be open, frozen or closed")]);
    assert_details(&app.get("/v1/accounts/7").await, "not_found", &[("/path/account_id", UUID)]);
}

#[tokio::test]
async fn messages_about_a_transfer() {
    let app = App::start().await;
    let (source, francs) = (app.open("EUR", true).await, app.open("CHF", true).await);
    let send_body = async |body: &Value| app.post("/v1/transfers", &new_key(), body).await;
    let body = json!({ "source": "7", "destination": source, "amount": 7, "reference": "x".repeat(141) });
    assert_details(
        &send_body(&body).await,
        "invalid_request",
        &[
            ("/source", UUID),
            ("/amount", "must be an object, not a number"),
            ("/reference", "must have 1 to 140 characters"),
        ],
    );
    assert_details(
        &send_body(&transfer(&source, &source, 0)).await,
        "invalid_request",
        &[
            ("/destination", "must be another account than the source"),
            ("/amount/value", "must be 1 to 9007199254740991"),
        ],
    );
    let unknown = send_body(&transfer(&source, &new_key(), 1)).await;
    assert_details(&unknown, "unknown_account", &[("/destination", "is not an account of the tenant")]);
    let other_currency = send_body(&transfer(&source, &francs, 1)).await;
    let message = "has another currency than the amount";
    assert_details(&other_currency, "currency_mismatch", &[("/destination", message)]);
    app.set_state(&source, "frozen").await;
    let frozen = send_body(&transfer(&source, &new_key(), 1)).await;
    assert_details(&frozen, "unknown_account", &[("/destination", "is not an account of the tenant")]);
    let other = app.open("EUR", false).await;
    let frozen = send_body(&transfer(&source, &other, 1)).await;
    assert_details(&frozen, "account_frozen", &[("/source", "is frozen")]);
    assert_details(&app.get("/v1/transfers/7").await, "not_found", &[("/path/transfer_id", UUID)]);
}

#[tokio::test]
async fn messages_about_a_query() {
    let app = App::start().await;
    assert_details(
        &app.get("/v1/transfers?account=7&state=done").await,
        "invalid_request",
        &[("/query/account", UUID), ("/query/state", "must be pending, succeeded, failed or reversed")],
    );
    let request = app.request(Method::GET, "/v1/accounts?state=open");
    let known = "is unknown; known are: created_from, created_to, order, limit and cursor";
    assert_details(&send(request).await, "invalid_request", &[("/query/state", known)]);
}
