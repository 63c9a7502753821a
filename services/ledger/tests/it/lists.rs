//! Lists of accounts, postings and transfers: pages, filters and access.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::app::{App, send};

/// Reads all pages of a list, forwards and then backwards, and returns the items.
async fn walk(app: &App, path: &str, query: &str) -> Vec<Value> {
    let page = async |cursor: &Value| {
        let cursor = cursor.as_str().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let answer = app.get(&format!("{path}?limit=2&{query}{cursor}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body
    };
    let items = |page: &Value| page["items"].as_array().unwrap().clone();
    let mut current = page(&Value::Null).await;
    let mut forth = items(&current);
    while current["next"].is_string() {
        current = page(&current["next"]).await;
        forth.extend(items(&current));
    }
    let mut back = items(&current);
    while current["prev"].is_string() {
        current = page(&current["prev"]).await;
        back.splice(0..0, items(&current));
    }
    assert_eq!(forth, back, "{path}?{query}");
    forth
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn accounts_come_in_pages() {
    let app = App::start().await;
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(app.open("EUR", false).await);
    }
    app.open_of("globex", "EUR", false).await;
    let oldest = walk(&app, "/v1/accounts", "order=oldest").await;
    assert_eq!(ids(&oldest), created);
    assert_eq!(oldest[0], app.account(&created[0]).await, "an item equals the account");
    created.reverse();
    assert_eq!(ids(&walk(&app, "/v1/accounts", "").await), created);
}

#[tokio::test]
async fn a_statement_has_the_postings_of_one_account_in_their_order() {
    let app = App::start().await;
    let (source, account) = (app.open("EUR", true).await, app.open("EUR", false).await);
    for amount in [100, 200, 300] {
        app.paid(&source, &account, amount).await;
    }
    let back = app.paid(&account, &source, 50).await;
    let path = format!("/v1/accounts/{account}/postings");

    let postings = walk(&app, &path, "order=oldest").await;

    let amounts: Vec<_> = postings.iter().map(|posting| posting["amount"].as_i64().unwrap()).collect();
    assert_eq!(amounts, [100, 200, 300, -50]);
    assert_eq!((&postings[3]["transfer_id"], &postings[3]["currency"]), (&back.into(), &"EUR".into()));
    let first = app.get(&format!("{path}?limit=1")).await;
    let next = format!("<{path}?order=newest&limit=1&cursor=");
    assert!(first.header("link").starts_with(&next), "{first:?}");

    let other = format!("/v1/accounts/{source}/postings?cursor={}", first.body["next"].as_str().unwrap());
    app.get(&other).await.assert_error(400, "cursor_foreign", &["/query/cursor"]);
}

#[tokio::test]
async fn filters_select_transfers() {
    let app = App::start().await;
    let (one, two, three) =
        (app.open("EUR", true).await, app.open("EUR", true).await, app.open("EUR", true).await);
    let first = app.paid(&one, &two, 1).await;
    let second = app.paid(&two, &one, 2).await;
    let third = app.paid(&two, &three, 3).await;
    let fourth = app.reverse(&first, "reversal").await.id();
    app.settled(&fourth).await;
    let unknown = uuid::Uuid::now_v7();
    for (query, expected) in [
        (String::new(), vec![&first, &second, &third, &fourth]),
        (format!("account={one}"), vec![&first, &second, &fourth]),
        (format!("account={two}"), vec![&first, &second, &third, &fourth]),
        (format!("account={three}"), vec![&third]),
        (format!("account={unknown}"), vec![]),
        ("state=reversed".to_owned(), vec![&first]),
        ("state=pending".to_owned(), vec![]),
        (format!("state=succeeded&account={one}"), vec![&second, &fourth]),
        (format!("account={two}&created_to=2026-01-01T00:00:00Z"), vec![]),
        (format!("account={two}&created_from=2026-01-01T00:00:00Z"), vec![&first, &second, &third, &fourth]),
    ] {
        let mut found = walk(&app, "/v1/transfers", &format!("{query}&order=oldest")).await;
        assert_eq!(ids(&found), expected, "{query}");
        found.reverse();
        assert_eq!(walk(&app, "/v1/transfers", &query).await, found, "{query}");
    }
    let refused = app.get("/v1/transfers?account=seven&state=done&tenant=globex").await;
    refused.assert_error(400, "invalid_request", &["/query/account", "/query/state", "/query/tenant"]);
}

#[tokio::test]
async fn a_list_contains_only_what_the_tenant_has() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    app.paid(&source, &destination, 1).await;
    for path in ["/v1/accounts", "/v1/transfers", &format!("/v1/transfers?account={source}")] {
        let answer = send(app.request_of("globex", Method::GET, path)).await;
        assert_eq!((answer.status, &answer.body["items"]), (StatusCode::OK, &Value::Array(vec![])), "{path}");
    }
}
