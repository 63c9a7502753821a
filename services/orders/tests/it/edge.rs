//! Request deadlines, admission, entity tags and response headers.

use futures::future::join_all;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use testkit::{Builder, client, wait_for};

use crate::app::{App, Parts, SOON, id, order};

const RECORDS: &str = "SELECT count(*) FROM idempotency_keys";
const WAITING_STATEMENTS: &str = "SELECT count(*) FROM pg_stat_activity \
                                  WHERE datname = current_database() AND wait_event_type = 'Lock'";

async fn start_with(settings: impl FnOnce(Builder) -> Builder) -> App {
    let parts = Parts::make().await;
    let process = settings(parts.service()).spawn().await;
    parts.with(process)
}

fn post(app: &App, key: &str) -> RequestBuilder {
    client().post(app.url("/v1/orders")).bearer_auth(app.token()).header("Idempotency-Key", key)
}

fn get(app: &App, order: &str) -> RequestBuilder {
    client().get(app.url(&format!("/v1/orders/{order}"))).bearer_auth(app.token())
}

async fn code(response: Response) -> String {
    response.json::<Value>().await.unwrap()["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_request_deadline_cancels_the_transaction() {
    let app = App::start().await;
    let lock = app.database.connect().await;
    lock.batch_execute("BEGIN; LOCK TABLE products IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let request = post(&app, "hurried").header("x-request-deadline-ms", "300").json(&order("TEA", 1));
    let response = request.send().await.unwrap();

    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(code(response).await, "deadline_exceeded");
    wait_for("no statement to be left waiting", SOON, async || {
        (app.count(WAITING_STATEMENTS).await == 0).then_some(())
    })
    .await;
    lock.query("SELECT 1 FROM products", &[]).await.expect("the lock was held all the time");
    lock.batch_execute("COMMIT").await.unwrap();
    assert_eq!(app.count(RECORDS).await, 0, "nothing happened");
    assert_eq!(app.post("hurried", &order("TEA", 1)).await.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn orders_can_be_polled_while_new_orders_are_shed() {
    let app = start_with(|process| {
        ["ACQUIRE", "LOCK", "STATEMENT", "TRANSACTION"]
            .iter()
            .fold(process, |process, what| process.env(&format!("DATABASE_{what}_TIMEOUT_MS"), "20000"))
            .env("REQUEST_TIMEOUT_MS", "19000")
            .env("DATABASE_POOL_SIZE", "20")
            .env("MAX_REQUESTS_IN_FLIGHT", "10")
    })
    .await;
    let placed = app.place(&order("TEA", 1)).await;
    let lock = app.database.connect().await;
    lock.batch_execute("BEGIN; LOCK TABLE products IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let waiting: Vec<_> =
        (0..8).map(|n| tokio::spawn(post(&app, &format!("key-{n}")).json(&order("TEA", 1)).send())).collect();
    wait_for("eight orders to be in hand", SOON, async || {
        (app.count(WAITING_STATEMENTS).await >= 8).then_some(())
    })
    .await;

    let shed = post(&app, "shed").json(&order("TEA", 1)).send().await.unwrap();
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
    let retry_after: u64 = shed.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3).contains(&retry_after), "{retry_after}");
    assert_eq!(code(shed).await, "overloaded");
    assert_eq!(get(&app, id(&placed)).send().await.unwrap().status(), StatusCode::OK);

    lock.batch_execute("COMMIT").await.unwrap();
    for response in join_all(waiting).await {
        assert_eq!(response.unwrap().unwrap().status(), StatusCode::ACCEPTED);
    }
    assert_eq!(app.count(RECORDS).await, 9, "the shed request left no record");
    app.post_until_accepted("shed", &order("TEA", 1)).await;
}

#[tokio::test]
async fn a_rate_limited_order_leaves_no_record_and_can_be_retried() {
    let app =
        start_with(|process| process.env("QUOTA_REQUESTS_PER_SECOND", "1").env("QUOTA_BURST", "2")).await;
    let mut accepted = 0;
    let throttled = loop {
        let key = format!("key-{accepted}");
        let response = app.post(&key, &order("TEA", 1)).await;
        if response.status() != StatusCode::ACCEPTED {
            assert_eq!(response.headers()["retry-after"], "1");
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(code(response).await, "quota_exceeded");
            break key;
        }
        accepted += 1;
        assert!(accepted < 100, "there is no quota");
    };
    assert_eq!(app.count(RECORDS).await, accepted);
    app.post_until_accepted(&throttled, &order("TEA", 1)).await;
    assert_eq!(app.count(RECORDS).await, accepted + 1);
}

#[tokio::test]
async fn an_order_with_a_matching_etag_returns_304_until_it_changes() {
    let app = App::start().await;
    let lock = app.database.connect().await;
    lock.batch_execute("BEGIN; LOCK TABLE stock IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let placed = app.place(&order("TEA", 1)).await;
    let poll = |tag: &str| get(&app, id(&placed)).header("if-none-match", tag).send();

    let first = get(&app, id(&placed)).send().await.unwrap();
    assert_eq!(
        (first.status(), &first.headers()["cache-control"]),
        (StatusCode::OK, &"private, no-cache".parse().unwrap())
    );
    let pending = first.headers()["etag"].to_str().unwrap().to_owned();
    for known in [pending.clone(), format!("W/{pending}"), format!("\"x\", {pending}"), "*".to_owned()] {
        let response = poll(&known).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(response.headers()["etag"], pending);
        assert_eq!(response.headers()["cache-control"], "private, no-cache");
    }

    lock.batch_execute("COMMIT").await.unwrap();
    let confirmed = wait_for("the order to change", SOON, async || {
        let response = poll(&pending).await.unwrap();
        (response.status() == StatusCode::OK).then_some(response)
    })
    .await;
    let tag = confirmed.headers()["etag"].to_str().unwrap().to_owned();
    assert_ne!(tag, pending);
    assert_eq!(confirmed.json::<Value>().await.unwrap()["state"], "confirmed");
    assert_eq!(poll(&tag).await.unwrap().status(), StatusCode::NOT_MODIFIED);

    let foreign = app.keys.token("globex", &["orders:read"]);
    let url = app.url(&format!("/v1/orders/{}", id(&placed)));
    let response = client().get(url).bearer_auth(foreign).header("if-none-match", "*").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND, "a validator opens nothing");
}

#[tokio::test]
async fn the_tracking_page_has_all_security_headers() {
    let app = start_with(|process| process.env("ORDERS_PUBLIC_URL", "https://orders.example")).await;
    let page = client().get(app.url("/track/x")).send().await.unwrap();
    let headers = page.headers();
    for (name, value) in [
        ("cache-control", "private, no-store"),
        ("content-type", "text/html; charset=utf-8"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("strict-transport-security", "max-age=31536000"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-robots-tag", "noindex"),
    ] {
        assert_eq!(headers[name], value);
        assert_eq!(headers.get_all(name).iter().count(), 1, "{name}");
    }
    let policy = headers["content-security-policy"].to_str().unwrap();
    for directive in ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    let permissions = headers["permissions-policy"].to_str().unwrap();
    assert!(permissions.contains("camera=()") && permissions.contains("geolocation=()"), "{permissions}");
    for name in ["server", "x-powered-by", "set-cookie", "access-control-allow-origin"] {
        assert!(!headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn an_unauthorized_caller_gets_no_details_about_the_request() {
    let app = App::start().await;
    let reader = app.keys.token("acme", &["orders:read"]);
    let bodies =
        ["{".to_owned(), "[]".to_owned(), "{}".to_owned(), json!({"lines": "x".repeat(100_000)}).to_string()];
    for body in bodies {
        // The key is missing too, and the content type is wrong.
        let request = || client().post(app.url("/v1/orders")).body(body.clone());
        let anonymous = request().send().await.unwrap();
        assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED, "{body:.40}");
        let without_scope = request().bearer_auth(&reader).send().await.unwrap();
        assert_eq!(without_scope.status(), StatusCode::FORBIDDEN, "{body:.40}");
    }
}
