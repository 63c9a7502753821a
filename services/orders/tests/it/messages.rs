//! The exact texts of messages about invalid values. Tests of `libs/api-error` contain the texts that all services share.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use testkit::client;

use crate::app::{App, order};

/// A JSON pointer and its message.
type Detail<'a> = (&'a str, &'a str);

async fn assert_details(request: RequestBuilder, status: u16, code: &str, details: &[Detail<'_>]) {
    let response = request.send().await.unwrap();
    let actual = response.status();
    let error: Value = response.json().await.unwrap();
    assert_eq!((actual.as_u16(), error["code"].as_str()), (status, Some(code)), "{error}");
    let expected: Vec<_> =
        details.iter().map(|(pointer, message)| json!({"pointer": pointer, "message": message})).collect();
    assert_eq!(error["details"], Value::from(expected), "{error}");
}

fn request(app: &App, method: Method, path: &str) -> RequestBuilder {
    client().request(method, app.url(path)).bearer_auth(app.token())
}

fn post(app: &App) -> RequestBuilder {
    request(app, Method::POST, "/v1/orders").header("Idempotency-Key", "key")
}

#[tokio::test]
async fn messages_about_a_body() {
    let app = App::start().await;
    let required = "is required";
    assert_details(
        post(&app).json(&json!({})),
        400,
        "invalid_request",
        &[("/customer_email", required), ("/lines", required)],
    )
    .await;
    let twice = order("TEA", 1)["lines"][0].clone();
    let body = json!({"customer_email": "ada", "lines": [twice, twice, {"sku": "-TEA", "quantity": 1.5}, {}], "coupon": 1});
    assert_details(
        post(&app).json(&body),
        400,
        "invalid_request",
        &[
            ("/customer_email", "must have an @ between the name and the domain"),
            ("/lines/1/sku", "is also in line 0; add the quantities in one line"),
            ("/lines/2/sku", "must not start with a hyphen"),
            ("/lines/2/quantity", "must be a whole number"),
            ("/lines/3/sku", required),
            ("/lines/3/quantity", required),
            ("/coupon", "is unknown; known are: customer_email and lines"),
        ],
    )
    .await;
    for (email, message) in [
        ("", "must not be empty; write a mail address such as name@example.com"),
        ("a b@c.example", "must not contain whitespace or control characters"),
        ("a@b..example", "must not have a dot at the start or end of the domain, or two dots in a row"),
        ("a@b", "must have a domain with a dot, such as example.com"),
    ] {
        let mut body = order("TEA", 1);
        body["customer_email"] = email.into();
        assert_details(post(&app).json(&body), 400, "invalid_request", &[("/customer_email", message)]).await;
    }
    for (sku, message) in [
        ("", "must have 1 to 40 characters"),
        ("tea", "must contain only upper-case letters A-Z, digits and hyphens"),
    ] {
        assert_details(post(&app).json(&order(sku, 1)), 400, "invalid_request", &[("/lines/0/sku", message)])
            .await;
    }
    for lines in [json!([]), json!(vec![1; 51])] {
        let body = json!({"customer_email": "ada@example.com", "lines": lines});
        assert_details(
            post(&app).json(&body),
            400,
            "invalid_request",
            &[("/lines", "must have 1 to 50 elements")],
        )
        .await;
    }
    assert_details(
        post(&app).json(&order("UNICORN", 1)),
        422,
        "unknown_sku",
        &[("/lines/0/sku", "is not in the catalogue")],
    )
    .await;
    assert_eq!(app.count("SELECT count(*) FROM orders").await, 0);
}

#[tokio::test]
async fn messages_about_a_quantity() {
    let app = App::start().await;
    let with = |quantity: &str| {
        let body = format!(
            r#"{{"customer_email": "ada@example.com", "lines": [{{"sku": "TEA", "quantity": {quantity}}}]}}"#
        );
        post(&app).header("content-type", "application/json").body(body)
    };
    for bad in ["0", "1001", "2147483648", "9007199254740992", "1e400"] {
        assert_details(with(bad), 400, "invalid_request", &[("/lines/0/quantity", "must be 1 to 1000")])
            .await;
    }
    // The same number, and so the same request.
    for good in ["1", "1.0", "1e0", "10e-1"] {
        let response = with(good).send().await.unwrap();
        assert_eq!(response.status(), 202, "{good}");
        assert_eq!(response.headers().contains_key("idempotent-replayed"), good != "1", "{good}");
    }
}

#[tokio::test]
async fn messages_about_a_query() {
    let app = App::start().await;
    let query = "state=open&created_from=yesterday&created_to=2025-01-31T08:00:00+01:00&customer=x&order=best&limit=201&page=2";
    let known = "is unknown; known are: state, customer, created_from, created_to, order, limit and cursor";
    assert_details(
        request(&app, Method::GET, &format!("/v1/orders?{query}")),
        400,
        "invalid_request",
        &[
            ("/query/state", "must be pending, confirmed or rejected"),
            ("/query/customer", "must have an @ between the name and the domain"),
            ("/query/created_from", "must be an RFC 3339 time, such as 2025-01-31T08:00:00Z"),
            (
                "/query/created_to",
                "must have its offset: Z, or such as %2B01:00, since a + in a query is a blank",
            ),
            ("/query/order", "must be newest or oldest"),
            ("/query/limit", "must be a whole number from 1 to 200"),
            ("/query/page", known),
        ],
    )
    .await;
    let reversed = "/v1/orders?created_from=2025-01-31T08:00:00Z&created_to=2025-01-31T08:00:00Z";
    let later = [("/query/created_to", "must be later than the beginning of the range")];
    assert_details(request(&app, Method::GET, reversed), 400, "invalid_request", &later).await;
    let changed = [("/query/cursor", "was not issued by this service, or was changed")];
    assert_details(request(&app, Method::GET, "/v1/orders?cursor=x"), 400, "invalid_cursor", &changed).await;

    let none = [("/query/a", "is unknown; known are: none")];
    let id = uuid::Uuid::now_v7();
    for path in [&format!("/v1/orders/{id}"), "/docs", "/docs/", "/openapi.json", "/problems/internal"] {
        assert_details(request(&app, Method::GET, &format!("{path}?a=1&a=2")), 400, "invalid_request", &none)
            .await;
    }
    let created =
        request(&app, Method::POST, "/v1/orders?a=1").header("Idempotency-Key", "key").json(&order("TEA", 1));
    assert_details(created, 400, "invalid_request", &none).await;
    let stranger = client().post(app.url("/v1/orders?a=1")).send().await.unwrap();
    assert_eq!(stranger.status(), 401, "an unauthorized caller gets no details about the query");
}

#[tokio::test]
async fn messages_about_headers_and_paths() {
    let app = App::start().await;
    for (key, message) in [
        ("", "must not be empty"),
        (
            "\"open",
            "must end in a double quote if it begins with one, with \\\" and \\\\ as its only escapes",
        ),
        ("two words", "must have only visible ASCII characters, and no blanks"),
        (&"k".repeat(256), "must have at most 255 characters"),
    ] {
        let request =
            request(&app, Method::POST, "/v1/orders").header("Idempotency-Key", key).json(&order("TEA", 1));
        let details = [("/header/Idempotency-Key", message)];
        assert_details(request, 400, "invalid_idempotency_key", &details).await;
    }
    let once = "must be sent once";
    let twice = post(&app).header("Idempotency-Key", "other").json(&order("TEA", 1));
    assert_details(twice, 400, "invalid_idempotency_key", &[("/header/Idempotency-Key", once)]).await;

    let id = "must be a UUID, such as 0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11";
    assert_details(request(&app, Method::GET, "/v1/orders/17"), 404, "not_found", &[("/path/id", id)]).await;
    let version = || request(&app, Method::GET, "/orders/17");
    let header = "/header/API-Version";
    assert_details(version(), 400, "missing_version", &[(header, "is required, one of 1, 2")]).await;
    let third = version().header("API-Version", "3");
    assert_details(third, 404, "unknown_version", &[(header, "must be one of 1, 2")]).await;
    let both = version().header("API-Version", "1").header("API-Version", "2");
    assert_details(both, 404, "unknown_version", &[(header, "must be sent once")]).await;
}
