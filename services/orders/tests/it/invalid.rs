//! Invalid requests and their errors.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use testkit::client;

use crate::app::{App, order};

/// Sends a request, checks status and code, and returns the error.
async fn refused(request: RequestBuilder, status: StatusCode, code: &str) -> Value {
    let response = request.send().await.unwrap();
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let actual = response.status();
    let error: Value = response.json().await.unwrap();
    assert_eq!((actual, &error["code"]), (status, &json!(code)), "{error}");
    assert_eq!(error["request_id"], request_id);
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    assert!(error["details"].is_array(), "{error}");
    error
}

fn post(app: &App) -> RequestBuilder {
    client().post(app.url("/v1/orders")).bearer_auth(app.token()).header("Idempotency-Key", "key")
}

fn pointers(error: &Value) -> Vec<&str> {
    error["details"].as_array().unwrap().iter().map(|detail| detail["pointer"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_invalid_body_is_refused_with_a_pointer() {
    let app = App::start().await;
    let email = "ada@example.com";
    let lines = json!([{ "sku": "TEA", "quantity": 1 }]);
    let cases = [
        (json!({ "customer_email": "ada", "lines": lines }), "/customer_email"),
        (json!({ "customer_email": 1, "lines": lines }), "/customer_email"),
        (json!({ "lines": lines }), "/customer_email"),
        (json!({ "customer_email": email, "lines": [] }), "/lines"),
        (json!({ "customer_email": email, "lines": "TEA" }), "/lines"),
        (json!({ "customer_email": email, "lines": lines, "coupon": "X" }), "/coupon"),
        (json!({ "customer_email": email, "lines": [{ "sku": "TEA", "quantity": 0 }] }), "/lines/0/quantity"),
        (
            json!({ "customer_email": email, "lines": [{ "sku": "TEA", "quantity": 1001 }] }),
            "/lines/0/quantity",
        ),
        (
            json!({ "customer_email": email, "lines": [{ "sku": "TEA", "quantity": 1.5 }] }),
            "/lines/0/quantity",
        ),
        (json!({ "customer_email": email, "lines": [{ "sku": "tea", "quantity": 1 }] }), "/lines/0/sku"),
        (
            json!({ "customer_email": email, "lines": [{ "sku": "TEA", "quantity": 1, "price": 1 }] }),
            "/lines/0/price",
        ),
        (
            json!({ "customer_email": email, "lines": [{ "sku": "TEA", "quantity": 1 }, { "sku": "TEA", "quantity": 1 }] }),
            "/lines/1/sku",
        ),
    ];
    for (body, pointer) in cases {
        let error = refused(post(&app).json(&body), StatusCode::BAD_REQUEST, "invalid_request").await;
        assert_eq!(pointers(&error), [pointer], "{body}");
    }
    assert_eq!(app.count("SELECT count(*) FROM orders").await, 0);
}

#[tokio::test]
async fn all_problems_are_reported_at_once() {
    let app = App::start().await;
    let body = json!({ "customer_email": "x", "lines": [{ "sku": "?", "quantity": 0 }] });
    let error = refused(post(&app).json(&body), StatusCode::BAD_REQUEST, "invalid_request").await;
    assert_eq!(pointers(&error), ["/customer_email", "/lines/0/sku", "/lines/0/quantity"]);
}

#[tokio::test]
async fn unknown_products_are_named() {
    let app = App::start().await;
    let body = json!({
        "customer_email": "ada@example.com",
        "lines": [{ "sku": "TEA", "quantity": 1 }, { "sku": "UNICORN", "quantity": 1 }],
    });
    let error = refused(post(&app).json(&body), StatusCode::UNPROCESSABLE_ENTITY, "unknown_sku").await;
    assert_eq!(pointers(&error), ["/lines/1/sku"]);
}

#[tokio::test]
async fn an_order_with_two_currencies_is_refused() {
    let app = App::start().await;
    let body = json!({
        "customer_email": "ada@example.com",
        "lines": [{ "sku": "TEA", "quantity": 1 }, { "sku": "FRANC", "quantity": 1 }],
    });
    refused(post(&app).json(&body), StatusCode::BAD_REQUEST, "invalid_request").await;
}

#[tokio::test]
async fn a_malformed_json_body_is_refused() {
    let app = App::start().await;
    let json_type = ("content-type", "application/json");
    for body in ["", "{", "{\"customer_email\":", "not json"] {
        let request = post(&app).header(json_type.0, json_type.1).body(body);
        refused(request, StatusCode::BAD_REQUEST, "malformed_json").await;
    }
    let request = post(&app).header("content-type", "text/plain").body(order("TEA", 1).to_string());
    refused(request, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type").await;
    let huge = json!({ "customer_email": "a".repeat(100_000), "lines": [] });
    refused(post(&app).json(&huge), StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large").await;
}

#[tokio::test]
async fn an_idempotency_key_is_required_and_must_be_well_formed() {
    let app = App::start().await;
    let without = client().post(app.url("/v1/orders")).bearer_auth(app.token()).json(&order("TEA", 1));
    refused(without, StatusCode::BAD_REQUEST, "missing_idempotency_key").await;
    for key in ["", "two words", "\"open", &"k".repeat(256)] {
        let request =
            client().post(app.url("/v1/orders")).bearer_auth(app.token()).header("Idempotency-Key", key);
        refused(request.json(&order("TEA", 1)), StatusCode::BAD_REQUEST, "invalid_idempotency_key").await;
    }
    let twice = post(&app).header("Idempotency-Key", "another").json(&order("TEA", 1));
    refused(twice, StatusCode::BAD_REQUEST, "invalid_idempotency_key").await;
}

#[tokio::test]
async fn unknown_paths_return_404_and_other_methods_name_the_allowed_ones() {
    let app = App::start().await;
    let unknown = uuid::Uuid::now_v7();
    for path in
        ["/", "/v1", "/v2/nothing", &format!("/v1/orders/{unknown}"), &format!("/v2/orders/{unknown}")]
    {
        let request = client().get(app.url(path)).bearer_auth(app.token());
        refused(request, StatusCode::NOT_FOUND, "not_found").await;
    }
    for path in ["/v1/orders/not-an-id", "/v2/orders/%00", "/v2/orders/0197c1f2"] {
        let request = client().get(app.url(path)).bearer_auth(app.token());
        let error = refused(request, StatusCode::NOT_FOUND, "not_found").await;
        assert_eq!(pointers(&error), ["/path/id"], "{path}");
    }
    let path = format!("/v1/orders/{unknown}");
    for (method, path, allow) in
        [(Method::DELETE, "/v1/orders", "GET, HEAD, POST"), (Method::PUT, path.as_str(), "GET, HEAD")]
    {
        let response = client().request(method, app.url(path)).bearer_auth(app.token()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], allow);
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "method_not_allowed");
    }
}

#[tokio::test]
async fn an_error_is_returned_as_problem_details_on_request() {
    let app = App::start().await;
    let response =
        post(&app).header("accept", "application/problem+json").json(&json!({})).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], 400);
    assert_eq!(problem["code"], "invalid_request");
}
