//! Traces, metrics and logs, and the data that logs must not contain.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use testkit::{Zipkin, wait_for};

use crate::service::{Service, send};

#[tokio::test]
async fn a_request_with_a_token_continues_its_trace() {
    let service = Service::start().await;
    let trace_id = format!("{:032x}", 0xfeed_u128 << 64 | u128::from(service.process.pid()));
    let parent_id = "00f067aa0ba902b7";
    let token = service.token("acme", &["links:read"]);
    let request = service.request(Method::GET, "/v1/links/some-secret-code").bearer_auth(token);
    send(request.header("traceparent", format!("00-{trace_id}-{parent_id}-01"))).await;

    let span = wait_for("the span", Duration::from_secs(15), async || {
        Zipkin::trace(&trace_id).await.into_iter().find(|span| span.kind.as_deref() == Some("SERVER"))
    })
    .await;
    assert_eq!(span.service(), "url-shortener");
    assert_eq!(span.parent_id.as_deref(), Some(parent_id));
    assert_eq!(span.tags["http.route"], "/v1/links/{code}");
    assert!(!format!("{span:?}").contains("some-secret-code"), "a code can be a capability: {span:?}");
}

#[tokio::test]
async fn the_admin_port_answers_head_as_it_answers_get() {
    let service = Service::start().await;
    for path in ["/live", "/ready", "/metrics"] {
        let url = format!("{}{path}", service.process.admin_url());
        let get = send(service.http.get(&url)).await;
        let head = send(service.http.head(&url)).await;
        assert_eq!(
            (head.status, head.header("content-type")),
            (get.status, get.header("content-type")),
            "{path}"
        );
        assert_ne!(head.header("content-length"), "", "{path}");
        let other = send(service.http.post(&url)).await;
        assert_eq!(
            (other.status, other.header("allow")),
            (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_outcome() {
    let service = Service::start().await;
    let put = service.put("acme", "counted", "https://example.com/").await;
    assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
    service.follow("counted").await;
    service.follow("counted").await;
    service.follow("unknown").await;
    for code in ["counted", "unknown"] {
        send(service.request(Method::HEAD, &format!("/{code}"))).await;
    }

    for (line, count) in [
        (r#"url_shortener_puts_total{outcome="created"}"#, 1.0),
        (r#"url_shortener_redirects_total{outcome="found"}"#, 2.0),
        (r#"url_shortener_redirects_total{outcome="unknown"}"#, 1.0),
        (r#"http_server_request_duration_seconds_count{method="GET",route="/{code}",status="302"}"#, 2.0),
        (r#"pg_transaction_duration_seconds_count{outcome="committed",transaction="put_link"}"#, 1.0),
        (r#"cache_requests_total{cache="targets",outcome="miss"}"#, 2.0),
        (r#"cache_requests_total{cache="targets",outcome="hit"}"#, 2.0),
    ] {
        assert!((service.metric(line).await - count).abs() < f64::EPSILON, "{line}");
    }
}

#[tokio::test]
async fn the_log_contains_no_codes_targets_and_tokens() {
    let mut service = Service::start().await;
    let token = service.token("acme", &["links:write"]);
    service.put("acme", "secret-code", "https://example.com/secret-target").await;
    service.follow("secret-code").await;
    service.put("acme", "secret-code", "ftp://example.com/secret-target").await;
    assert!(service.process.terminate().await.success());

    let logs = service.process.logs();
    for secret in ["secret-code", "secret-target", token.split('.').next().unwrap()] {
        assert!(!logs.contains(secret), "{secret} is in the log:\n{logs}");
    }
}
