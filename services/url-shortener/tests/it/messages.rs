//! The exact texts of messages about invalid values. Tests of `libs/api-error` contain the texts that all services share; `targets` and the
//! tests of the domain contain those about targets.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::service::{Service, send};

/// A JSON pointer and its message.
type Detail<'a> = (&'a str, &'a str);

async fn assert_details(request: RequestBuilder, status: u16, code: &str, details: &[Detail<'_>]) {
    let answer = send(request).await;
    answer.assert_error(status, code);
    let expected: Vec<_> =
        details.iter().map(|(pointer, message)| json!({"pointer": pointer, "message": message})).collect();
    assert_eq!(answer.body["details"], Value::from(expected), "{answer:?}");
}

#[tokio::test]
async fn messages_about_a_body_and_a_path() {
    let service = Service::start().await;
    let put = |code: &str, body: Value| service.put_request(code).json(&body);
    let known = "is unknown; known are: target";
    let cases: [(Value, &[Detail<'_>]); 4] = [
        (json!({}), &[("/target", "is required")]),
        (json!({"target": 17, "ttl": 1}), &[("/target", "must be a string, not a number"), ("/ttl", known)]),
        (
            json!({"target": "https://shop.example/ "}),
            &[("/target", "must not start or end with whitespace")],
        ),
        (json!(["https://shop.example/"]), &[("", "must be an object, not an array")]),
    ];
    for (body, details) in cases {
        assert_details(put("some-link", body), 400, "invalid_request", details).await;
    }
    for (code, message) in [
        ("short", "must have 6 to 32 characters"),
        ("with.dot", "must contain only the characters A-Z, a-z, 0-9, _ and -"),
    ] {
        let good = json!({"target": "https://shop.example/"});
        assert_details(put(code, good), 400, "invalid_request", &[("/path/code", message)]).await;
    }
    assert_eq!(service.count_links().await, 0);
}

#[tokio::test]
async fn messages_about_a_query() {
    let service = Service::start().await;
    let get = |path: &str| {
        service.request(Method::GET, path).bearer_auth(service.token("acme", &["links:read", "links:write"]))
    };
    let query = "host=shop..example&created_from=0000-01-01T00:00:00Z&limit=0&limit=1&target=x";
    assert_details(
        get(&format!("/v1/links?{query}")),
        400,
        "invalid_request",
        &[
            ("/query/host", "must not have two dots in a row, or a dot at the start, in its host name"),
            ("/query/created_from", "must be in the years 0001 to 9999, in UTC"),
            ("/query/limit", "must be sent once"),
            (
                "/query/target",
                "is unknown; known are: host, created_from, created_to, order, limit and cursor",
            ),
        ],
    )
    .await;
    let host = [(
        "/query/host",
        "must be a host name or an IP address (IPv6 in brackets), without scheme, port and path",
    )];
    assert_details(get("/v1/links?host=https://shop.example/"), 400, "invalid_request", &host).await;

    let none = [("/query/a", "is unknown; known are: none")];
    service.put("acme", "some-link", "https://shop.example/").await;
    for path in ["/v1/links/some-link", "/docs", "/docs/"] {
        assert_details(get(&format!("{path}?a=1")), 400, "invalid_request", &none).await;
    }
    let put = service.put_request("some-link?a=1").json(&json!({"target": "https://shop.example/other"}));
    assert_details(put, 400, "invalid_request", &none).await;
    assert_eq!(service.follow("some-link").await.header("location"), "https://shop.example/");
}

#[tokio::test]
async fn headers_about_an_unsupported_media_type() {
    let service = Service::start().await;
    let put = send(service.put_request("some-link").header("content-type", "text/plain").body("x")).await;
    put.assert_error(415, "unsupported_media_type");
    assert_eq!((put.header("accept"), put.header("accept-post")), ("application/json", ""));
    let post = service.request(Method::POST, "/v1/links").header("Idempotency-Key", "key").body("x");
    let post = send(post.bearer_auth(service.token("acme", &["links:write"]))).await;
    post.assert_error(415, "unsupported_media_type");
    assert_eq!((post.header("accept"), post.header("accept-post")), ("application/json", "application/json"));
    let coded = service.put_request("some-link").json(&json!({})).header("content-encoding", "GZip");
    assert_eq!(send(coded).await.header("accept-encoding"), "identity");
}
