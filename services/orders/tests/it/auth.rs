//! Who may do what.

use std::time::Duration;

use ::auth::{SigningKey, TokenRequest};
use reqwest::{Response, StatusCode};
use testkit::client;

use crate::app::{App, id, order};

fn request(scopes: &[&str]) -> TokenRequest {
    TokenRequest {
        subject: "test".to_owned(),
        tenant: "acme".parse().unwrap(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ttl: Duration::from_mins(5),
    }
}

async fn post_with(app: &App, token: &str) -> Response {
    let request = client().post(app.url("/v1/orders")).bearer_auth(token).header("Idempotency-Key", "key");
    request.json(&order("TEA", 1)).send().await.unwrap()
}

#[tokio::test]
async fn without_a_good_token_there_is_nothing_to_see() {
    let app = App::start().await;
    let foreign = SigningKey::generate("test").sign(&request(&["orders:write"])).unwrap();
    let mut tampered = app.token();
    tampered.replace_range(tampered.len() - 4.., "AAAA");
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ0ZXN0IiwidGVuYW50IjoiYWNtZSJ9.";
    for token in ["", "nonsense", "a.b.c", none, &foreign, &tampered] {
        let response = post_with(&app, token).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{token}");
        assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    }
    let placed = app.place(&order("TEA", 1)).await;
    let response = client().get(app.url(&format!("/v1/orders/{}", id(&placed)))).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_scope_allows_what_it_names_and_nothing_else() {
    let app = App::start().await;
    let reader = app.keys.token("acme", &["orders:read"]);
    assert_eq!(post_with(&app, &reader).await.status(), StatusCode::FORBIDDEN);

    let writer = app.keys.token("acme", &["orders:write"]);
    let placed = app.place(&order("TEA", 1)).await;
    let url = app.url(&format!("/v1/orders/{}", id(&placed)));
    let response = client().get(url).bearer_auth(writer).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}
