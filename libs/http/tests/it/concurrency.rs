//! The concurrency limit.

use std::time::Duration;

use futures::future::join_all;
use http_api::admission::Config;
use reqwest::StatusCode;

use crate::fixture::{Server, error};

/// Ten permits: eight for writes, one more for public routes, one more for reads.
fn ten_permits() -> Config {
    Config { quota_requests_per_second: 10_000, quota_burst: 10_000, max_requests_in_flight: 10 }
}

#[actix_web::test]
async fn reads_are_answered_while_new_writes_are_shed() {
    let server = Server::start(ten_permits());
    let waiting = server.begin_writes(8).await;

    let (retry_after, _) = error(server.send("GET", "/quick").await, 503, "overloaded").await;
    assert!((1..=3).contains(&retry_after), "{retry_after}");
    for path in ["/read", "/public", "/open"] {
        assert_eq!(server.send("GET", path).await.status(), StatusCode::NO_CONTENT, "{path}");
    }

    server.open_handler();
    for response in join_all(waiting).await {
        assert_eq!(response.unwrap().status(), StatusCode::NO_CONTENT);
    }
}

#[actix_web::test]
async fn a_request_is_shed_before_its_body_arrives() {
    let server = Server::start(ten_permits());
    let waiting = server.begin_writes(8).await;
    // Not even the token is verified: that would cost more than the response.
    assert_eq!(server.send_head("/write", "").await, 503);
    server.open_handler();
    join_all(waiting).await;
}

#[actix_web::test]
async fn a_permit_is_held_until_the_response_has_been_written() {
    let server = Server::start(ten_permits());
    let mut streaming = Vec::new();
    for _ in 0..8 {
        // The head of the response is here, its body is not.
        streaming.push(server.send("GET", "/stream").await);
    }
    error(server.send("GET", "/quick").await, 503, "overloaded").await;

    server.open_body();
    for response in streaming {
        assert_eq!(response.text().await.unwrap(), "begin end");
    }
    server.until_free().await;
}

#[actix_web::test]
async fn a_slow_reader_without_a_token_holds_no_permit() {
    let server = Server::start(ten_permits());
    let mut streaming = Vec::new();
    for _ in 0..20 {
        streaming.push(server.send("GET", "/public-stream").await);
    }
    assert_eq!(server.send("GET", "/quick").await.status(), StatusCode::NO_CONTENT);
    server.open_body();
    for response in streaming {
        assert_eq!(response.text().await.unwrap(), "begin end");
    }
}

#[actix_web::test]
async fn a_request_that_waited_in_vain_joins_the_line() {
    let server = Server::start(ten_permits());
    let failing = server.begin_failures(8).await;
    let mut longest = 0;
    for _ in 0..100 {
        let (retry_after, _) = error(server.send("GET", "/quick").await, 503, "overloaded").await;
        longest = longest.max(retry_after);
    }
    assert!((8..=13).contains(&longest), "a hundred requests at ten a second: {longest} s");

    server.open_handler();
    for response in join_all(failing).await {
        let (retry_after, _) = error(response.unwrap(), 503, "unavailable").await;
        assert!(retry_after >= 5, "behind the line: {retry_after} s");
    }
}

#[actix_web::test]
async fn the_permit_of_a_client_that_disconnected_is_free_after_the_deadline() {
    let server = Server::start(ten_permits());
    let waiting = server.begin_writes_within(Duration::from_secs(1), 8).await;
    for request in &waiting {
        request.abort();
    }
    server.until_free().await;
}

#[actix_web::test]
async fn shed_and_throttled_requests_are_counted() {
    let server = Server::start(ten_permits());
    let waiting = server.begin_writes(8).await;
    error(server.send("GET", "/quick").await, 503, "overloaded").await;
    let metrics = prometheus::gather();
    let value =
        |name: &str| metrics.iter().find(|family| family.name() == name).unwrap().get_metric().to_vec();
    let shed = value("shed_total");
    assert_eq!(shed.len(), 3, "a class that was never shed reports zero");
    assert!(shed.iter().any(|metric| metric.get_counter().get_value() >= 1.0), "{shed:?}");
    assert!(value("admitted_requests_in_flight")[0].get_gauge().get_value() >= 8.0);
    value("throttled_total");
    server.open_handler();
    join_all(waiting).await;
}
