//! Creating and reading accounts.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{App, new_key, send};

#[tokio::test]
async fn a_new_account_is_open_and_empty() {
    let app = App::start().await;
    let body = json!({ "name": "Ada Lovelace", "kind": "merchant", "currency": "JPY", "may_overdraw": true });

    let created = app.post("/v1/accounts", &new_key(), &body).await;

    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    assert_eq!(created.header("location"), format!("/v1/accounts/{}", created.id()));
    for (member, expected) in [
        ("name", json!("Ada Lovelace")),
        ("kind", json!("merchant")),
        ("currency", json!("JPY")),
        ("may_overdraw", json!(true)),
        ("state", json!("open")),
        ("balance", json!({ "posted": 0, "available": 0 })),
    ] {
        assert_eq!(created.body[member], expected, "{member}");
    }
    assert_eq!(app.account(&created.id()).await, created.body);
}

#[tokio::test]
async fn an_account_needs_no_name() {
    let app = App::start().await;
    let id = app.open("EUR", false).await;
    assert_eq!(app.account(&id).await["name"], Value::Null);
}

#[tokio::test]
async fn an_invalid_account_is_refused_with_all_its_faults() {
    let app = App::start().await;
    let body = json!({ "name": "", "kind": "savings", "currency": "XXX", "may_overdraw": "no", "iban": "x" });
    let refused = app.post("/v1/accounts", &new_key(), &body).await;
    refused.assert_error(400, "invalid_request", &["/name", "/kind", "/currency", "/may_overdraw", "/iban"]);
    let body = json!({ "name": "a\nb", "kind": "customer", "currency": "EUR", "may_overdraw": false });
    app.post("/v1/accounts", &new_key(), &body).await.assert_error(400, "invalid_request", &["/name"]);
    assert_eq!(app.count("SELECT count(*) FROM accounts").await, 0);
}

#[tokio::test]
async fn the_etag_changes_with_the_balance_and_the_state() {
    let app = App::start().await;
    let (source, account) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let path = format!("/v1/accounts/{account}");
    let unchanged = async |tag: &str| {
        let request = app.request(Method::GET, &path).header("If-None-Match", tag);
        send(request).await.status == StatusCode::NOT_MODIFIED
    };
    let empty = app.get(&path).await.header("etag").to_owned();
    assert!(unchanged(&empty).await);

    app.paid(&source, &account, 500).await;
    assert!(!unchanged(&empty).await);

    let paid = app.get(&path).await.header("etag").to_owned();
    assert!(unchanged(&paid).await);
    app.set_state(&account, "frozen").await;
    assert!(!unchanged(&paid).await);
}

#[tokio::test]
async fn an_account_of_another_tenant_is_not_found() {
    let app = App::start().await;
    let account = app.open("EUR", false).await;
    for id in [account.as_str(), "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11"] {
        for path in [format!("/v1/accounts/{id}"), format!("/v1/accounts/{id}/postings")] {
            send(app.request_of("globex", Method::GET, &path)).await.assert_error(404, "not_found", &[]);
        }
        let change = app.request_of("globex", Method::PATCH, &format!("/v1/accounts/{id}"));
        send(change.json(&json!({ "state": "frozen" }))).await.assert_error(404, "not_found", &[]);
    }
    assert_eq!(app.account(&account).await["state"], "open");
    app.get("/v1/accounts/seven").await.assert_error(404, "not_found", &["/path/account_id"]);
}
