//! Entity tags, admission, request deadlines and response headers.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use testkit::{Database, wait_for};

use crate::service::{Answer, Service, send};

const TARGET: &str = "https://example.com/";

fn ask(service: &Service, code: &str) -> RequestBuilder {
    let token = service.token("acme", &["links:read"]);
    service.request(Method::GET, &format!("/v1/links/{code}")).bearer_auth(token)
}

async fn ask_with(service: &Service, code: &str, if_none_match: &str) -> Answer {
    send(ask(service, code).header("if-none-match", if_none_match)).await
}

#[tokio::test]
async fn a_link_with_a_matching_etag_returns_304_until_it_changes() {
    let service = Service::start().await;
    service.put("acme", "polled", TARGET).await;
    let first = send(ask(&service, "polled")).await;
    let tag = first.header("etag").to_owned();
    assert_eq!((first.status, tag.as_str()), (StatusCode::OK, r#""polled-1""#));
    assert_eq!(first.header("cache-control"), "private, no-cache");

    for known in [tag.clone(), format!("W/{tag}"), "*".to_owned(), format!("\"other\", {tag}")] {
        let again = ask_with(&service, "polled", &known).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(
            (again.header("etag"), again.header("cache-control")),
            (tag.as_str(), "private, no-cache")
        );
        assert!(again.body.is_null());
    }

    service.put("acme", "polled", TARGET).await;
    assert_eq!(ask_with(&service, "polled", &tag).await.status, StatusCode::NOT_MODIFIED);
    service.put("acme", "polled", "https://example.com/new").await;
    let changed = ask_with(&service, "polled", &tag).await;
    assert_eq!((changed.status, changed.header("etag")), (StatusCode::OK, r#""polled-2""#));
}

#[tokio::test]
async fn an_etag_does_not_bypass_authorization() {
    let service = Service::start().await;
    service.put("acme", "private", TARGET).await;
    let foreign = service.request(Method::GET, "/v1/links/private").header("if-none-match", "*");
    send(foreign.try_clone().unwrap()).await.assert_error(401, "unauthenticated");
    let other_tenant = foreign.bearer_auth(service.token("globex", &["links:read"]));
    send(other_tenant).await.assert_error(404, "not_found");
    ask_with(&service, "unknown-link", "*").await.assert_error(404, "not_found");
}

#[tokio::test]
async fn every_route_sets_cache_control() {
    let service = Service::start().await;
    let put = service.put("acme", "cached", TARGET).await;
    let cases = [
        (put, "no-store"),
        (service.get("acme", "cached").await, "private, no-cache"),
        (service.follow("cached").await, "private, max-age=0"),
        (service.follow("unknown-code").await, "no-store"),
        (service.get("acme", "unknown-code").await, "no-store"),
    ];
    for (answer, expected) in cases {
        assert_eq!(answer.header("cache-control"), expected, "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer:?}");
    }
}

#[tokio::test]
async fn https_responses_have_strict_transport_security() {
    for (public_url, expected) in [("https://links.test", "max-age=31536000"), ("http://links.test", "")] {
        let database = Database::create("url_shortener").await;
        let url = database.url();
        let settings =
            |process: testkit::Builder| process.env("DATABASE_URL", url).env("LINKS_PUBLIC_URL", public_url);
        let service = Service::start_with(database, settings).await;
        let answer = service.follow("unknown-code").await;
        assert_eq!(answer.header("strict-transport-security"), expected, "{public_url}");
    }
}

#[tokio::test]
async fn redirects_have_no_quota_and_the_api_has_one() {
    let database = Database::create("url_shortener").await;
    let url = database.url();
    let settings = |process: testkit::Builder| {
        process.env("DATABASE_URL", url).env("QUOTA_REQUESTS_PER_SECOND", "1").env("QUOTA_BURST", "2")
    };
    let service = Service::start_with(database, settings).await;
    let put = service.put("acme", "popular", TARGET).await;
    assert_eq!(put.status, StatusCode::CREATED);
    let mut refused = None;
    for _ in 0..20 {
        let answer = service.get("acme", "popular").await;
        if answer.status != StatusCode::OK {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("twenty requests a second are over the quota");
    refused.assert_error(429, "quota_exceeded");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(service.metric("throttled_total").await >= 1.0);

    for _ in 0..50 {
        assert_eq!(service.follow("popular").await.status, StatusCode::FOUND);
    }
    let other = service.get("globex", "popular").await;
    other.assert_error(404, "not_found");
}

#[tokio::test]
async fn an_unauthorized_caller_gets_no_details_about_the_body() {
    let service = Service::start().await;
    let reader = service.token("acme", &["links:read"]);
    let bad_bodies = ["{", "[]", "{}", "{\"target\": 1}"];
    for body in
        bad_bodies.map(str::to_owned).into_iter().chain([json!({"target": "x".repeat(100_000)}).to_string()])
    {
        let put = service.request(Method::PUT, "/v1/links/x").header("content-type", "text/plain").body(body);
        send(put.try_clone().unwrap()).await.assert_error(401, "unauthenticated");
        send(put.bearer_auth(&reader)).await.assert_error(403, "forbidden");
    }
}

#[tokio::test]
async fn a_request_deadline_cancels_a_statement_that_waits_for_a_row() {
    const STATEMENTS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                              AND application_name = 'url-shortener' AND state = 'active'";
    let service = Service::start().await;
    service.put("acme", "locked", TARGET).await;
    let lock = service.database.connect().await;
    lock.batch_execute("BEGIN; SELECT 1 FROM links WHERE code = 'locked' FOR UPDATE").await.unwrap();

    let put = service.put_request("locked").header("x-request-deadline-ms", "300");
    let answer = send(put.json(&json!({"target": "https://example.com/new"}))).await;

    answer.assert_error(503, "deadline_exceeded");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    let observer = service.database.connect().await;
    // The lock timeout is 1.5 s, the statement timeout 2 s.
    wait_for("no statement to be left running", Duration::from_millis(700), async || {
        let running: i64 = observer.query_one(STATEMENTS, &[]).await.unwrap().get(0);
        (running == 0).then_some(())
    })
    .await;
    lock.batch_execute("COMMIT").await.unwrap();
    assert_eq!(service.get("acme", "locked").await.body["target"], TARGET);
}
