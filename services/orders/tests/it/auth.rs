//! Authentication and authorization.

use std::time::Duration;

use ::auth::{SigningKey, TokenRequest};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::client;

use crate::app::{App, Parts, id, order};

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
async fn a_request_without_a_valid_token_is_refused() {
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
async fn a_challenge_contains_an_error_only_if_a_token_was_sent() {
    let app = App::start().await;
    let url = app.url("/v1/orders");
    for (credential, expected) in [
        (None, "Bearer realm=\"muster\""),
        (Some("Basic YTpi"), "Bearer realm=\"muster\""),
        (Some("Bearer nonsense"), "Bearer realm=\"muster\", error=\"invalid_token\""),
    ] {
        let request = client().get(&url);
        let request =
            credential.into_iter().fold(request, |request, value| request.header("authorization", value));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{credential:?}");
        assert_eq!(response.headers()["www-authenticate"], expected, "{credential:?}");
    }
}

#[tokio::test]
async fn tokens_and_keys_of_another_issuer_are_accepted_as_the_rfcs_require() {
    let parts = Parts::make().await;
    let mut jwks: Value = serde_json::from_slice(&std::fs::read(parts.keys.jwks_file()).unwrap()).unwrap();
    let rsa = json!({ "kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": "AQAB", "e": "AQAB" });
    let ours = std::mem::replace(&mut jwks["keys"], json!([rsa]));
    std::fs::write(parts.keys.jwks_file(), jwks.to_string()).unwrap();
    let output = parts.service().expect_refusal().await;
    assert!(output.contains("no usable key") && output.contains("kty must be OKP"), "{output}");

    jwks["keys"].as_array_mut().unwrap().extend(ours.as_array().unwrap().clone());
    std::fs::write(parts.keys.jwks_file(), jwks.to_string()).unwrap();
    let process = parts.service().spawn().await;
    let app = parts.with(process);
    assert!(app.process.logs().contains("a key of the JWK Set is skipped"));

    let now = chrono::Utc::now().timestamp();
    let seconds = |offset: i64| json!(format!("{}.5", now + offset).parse::<f64>().unwrap());
    let good = json!({
        "aud": ["other", "muster"], "iat": seconds(-2), "nbf": seconds(-2), "exp": seconds(600),
    });
    for (members, status) in
        [(good, StatusCode::ACCEPTED), (json!({ "aud": ["other"] }), StatusCode::UNAUTHORIZED)]
    {
        let token = app.keys.token_with("acme", &["orders:write"], &members);
        assert_eq!(post_with(&app, &token).await.status(), status, "{members}");
    }
}

#[tokio::test]
async fn a_scope_allows_only_its_operations() {
    let app = App::start().await;
    let reader = app.keys.token("acme", &["orders:read"]);
    assert_eq!(post_with(&app, &reader).await.status(), StatusCode::FORBIDDEN);

    let writer = app.keys.token("acme", &["orders:write"]);
    let placed = app.place(&order("TEA", 1)).await;
    let url = app.url(&format!("/v1/orders/{}", id(&placed)));
    let response = client().get(url).bearer_auth(writer).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}
