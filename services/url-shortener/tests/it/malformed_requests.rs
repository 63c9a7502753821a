//! Malformed requests and their errors.

use reqwest::{Method, RequestBuilder, header};
use serde_json::json;

use crate::service::{Answer, Service, send};

const CODE: &str = "some-link";

fn with_body(service: &Service, content_type: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    service.put_request(CODE).header(header::CONTENT_TYPE, content_type).body(body)
}

async fn put_json(service: &Service, body: impl Into<reqwest::Body>) -> Answer {
    send(with_body(service, "application/json", body)).await
}

#[tokio::test]
async fn a_request_without_a_token_gets_a_challenge() {
    let service = Service::start().await;
    for method in [Method::PUT, Method::GET] {
        let path = format!("/v1/links/{CODE}");
        let bare = || service.request(method.clone(), &path).json(&json!({"target": "https://example.com"}));
        for request in [
            bare(),
            bare().bearer_auth("garbage"),
            bare().bearer_auth("e30.e30.e30"),
            bare().basic_auth("acme", Some("secret")),
            bare().header(header::AUTHORIZATION, "Bearer"),
        ] {
            let answer = send(request).await;
            answer.assert_error(401, "unauthenticated");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let service = Service::start().await;
    for (method, has, needs) in
        [(Method::PUT, "links:read", "links:write"), (Method::GET, "links:write", "links:read")]
    {
        let token = service.token("acme", &[has]);
        let request = service.request(method, &format!("/v1/links/{CODE}")).bearer_auth(token);
        let answer = send(request.json(&json!({"target": "https://example.com"}))).await;
        answer.assert_error(403, "forbidden");
        assert!(answer.body["message"].as_str().unwrap().contains(needs), "{answer:?}");
    }
}

#[tokio::test]
async fn a_malformed_code_is_refused() {
    let service = Service::start().await;
    for code in ["short", "with.dot", "with%20space", "caf%C3%A9-cafe", &"x".repeat(33)] {
        let answer = service.put("acme", code, "https://example.com").await;
        answer.assert_error(400, "invalid_request");
        answer.assert_detail("/path/code");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let service = Service::start().await;
    for body in [
        "",
        "{",
        "{\"target\": \"https://example.com\"",
        "target=x",
        "{\"target\": \"a\"} trailing",
        "{'target': 1}",
    ] {
        put_json(&service, body).await.assert_error(400, "malformed_json");
    }
    put_json(&service, &b"{\"target\": \"\xff\"}"[..]).await.assert_error(400, "malformed_json");
}

#[tokio::test]
async fn an_invalid_body_is_refused_with_a_pointer() {
    let service = Service::start().await;
    for (body, pointer) in [
        (json!({}), "/target"),
        (json!({"target": 17}), "/target"),
        (json!({"target": "https://example.com", "expires": 1}), "/expires"),
        (json!("https://example.com"), ""),
        (json!([{"target": "https://example.com"}]), ""),
    ] {
        let answer = put_json(&service, body.to_string()).await;
        answer.assert_error(400, "invalid_request");
        answer.assert_detail(pointer);
    }
}

#[tokio::test]
async fn another_media_type_is_refused() {
    let service = Service::start().await;
    let body = r#"{"target": "https://example.com"}"#;
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"]
    {
        send(with_body(&service, content_type, body)).await.assert_error(415, "unsupported_media_type");
    }
    send(service.put_request(CODE).body(body)).await.assert_error(415, "unsupported_media_type");
    let compressed = with_body(&service, "application/json", body).header(header::CONTENT_ENCODING, "gzip");
    send(compressed).await.assert_error(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let service = Service::start().await;
    let body = json!({"target": "x".repeat(100_000)}).to_string();
    put_json(&service, body).await.assert_error(413, "payload_too_large");
}

#[tokio::test]
async fn an_unknown_path_returns_404() {
    let service = Service::start().await;
    for path in ["/", "/v1/links/", "/v1/nothing/here", "/v2/nothing/here", "/metrics/x", "/some-link/x"] {
        send(service.request(Method::GET, path)).await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn an_unknown_version_is_refused_and_the_known_ones_are_named() {
    let service = Service::start().await;
    let answer = send(service.request(Method::GET, "/v2/links/some-link")).await;
    answer.assert_error(404, "unknown_version");
    assert!(answer.body["message"].as_str().unwrap().ends_with("The versions are 1."), "{answer:?}");
}

#[tokio::test]
async fn another_method_is_refused_and_the_allowed_ones_are_named() {
    let service = Service::start().await;
    for (method, path, allow) in [
        (Method::DELETE, "/v1/links", "GET, HEAD, POST"),
        (Method::POST, "/v1/links/some-link", "GET, HEAD, PUT"),
        (Method::DELETE, "/v1/links/some-link", "GET, HEAD, PUT"),
        (Method::POST, "/some-link", "GET, HEAD"),
        (Method::PUT, "/some-link", "GET, HEAD"),
    ] {
        let answer = send(service.request(method, path)).await;
        answer.assert_error(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow);
    }
}

#[tokio::test]
async fn an_error_is_returned_as_problem_details_on_request() {
    let service = Service::start().await;
    let request =
        service.request(Method::GET, "/unknown-code").header(header::ACCEPT, "application/problem+json");
    let answer = send(request.header("x-request-id", "from-the-caller")).await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("x-request-id"), "from-the-caller");
    assert_eq!(answer.body["status"], 404);
    assert_eq!(answer.body["type"], "/problems/not_found");
    assert_eq!(answer.body["request_id"], "from-the-caller");
}
