//! The public page of an order.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use events::{Decoder, Registry, orders::OrderConfirmed};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Response, StatusCode};
use sha2::Sha256;
use testkit::{Kafka, client, endpoints};

use crate::app::{App, id, order};

/// Returns the tracking path from the confirmation event of this order.
async fn tracking_path(app: &App, order_id: &str) -> String {
    app.settled(order_id).await;
    let records = Kafka::read(app.topics.name("orders.events"), 2).await;
    let confirmed = records
        .iter()
        .find(|record| record.headers["event-type"].ends_with("OrderConfirmed"))
        .expect("the order was confirmed");
    let registry = Registry::new(
        &events::Config { schema_registry_url: endpoints().schema_registry_url.parse().unwrap() },
        &tls::Trust::none(),
    );
    let event: OrderConfirmed =
        Decoder::new(registry).decode(confirmed.payload.as_ref().unwrap()).await.unwrap();
    assert_eq!(event.order.order_id.to_string(), order_id);
    event.tracking_url.strip_prefix("http://orders.example").unwrap().to_owned()
}

async fn open(app: &App, path: &str) -> Response {
    client().get(app.url(path)).send().await.unwrap()
}

#[tokio::test]
async fn the_tracking_page_shows_the_order_and_not_the_customer() {
    let app = App::start().await;
    let placed = app.place(&order("CUP", 2)).await;
    let path = tracking_path(&app, id(&placed)).await;

    // Mail gateways check links with HEAD.
    let head = client().head(app.url(&path)).send().await.unwrap();
    let response = open(&app, &path).await;

    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers().clone();
    assert_eq!(head.status(), StatusCode::OK);
    for name in ["content-length", "content-type", "content-security-policy", "cache-control"] {
        assert_eq!(head.headers().get(name), headers.get(name), "{name}");
    }
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'; style-src 'sha256-")
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["cache-control"], "private, no-store");
    let page = response.text().await.unwrap();
    assert!(
        page.contains("Order confirmed") && page.contains(id(&placed)) && page.contains("€20.00"),
        "{page}"
    );
    assert!(page.contains("Cup &#60;b&#62;&#38;amp;"), "product names are text, not markup: {page}");
    assert!(!page.contains("example.com"), "the customer's address is not on the page");
}

#[tokio::test]
async fn unknown_query_parameters_are_ignored() {
    let app = App::start().await;
    let placed = app.place(&order("CUP", 1)).await;
    let path = tracking_path(&app, id(&placed)).await;

    let response = open(&app, &format!("{path}?fbclid=IwAR0&utm_source=mail")).await;

    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_changed_tracking_link_returns_404() {
    let app = App::start().await;
    let placed = app.place(&order("TEA", 1)).await;
    let path = tracking_path(&app, id(&placed)).await;
    let mut changed = path.clone();
    let at = changed.len() - 8;
    let other = if changed.as_bytes()[at] == b'A' { "B" } else { "A" };
    changed.replace_range(at..=at, other);

    for path in [
        changed.as_str(),
        "/track/x",
        "/track/%00",
        &format!("{path}AAAA"),
        &format!("/track/{}", "A".repeat(900)),
    ] {
        let response = open(&app, path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(response.text().await.unwrap().contains("Order not found"));
    }
}

#[tokio::test]
async fn an_expired_tracking_link_returns_410() {
    let app = App::start().await;
    let placed = app.place(&order("TEA", 1)).await;
    let yesterday = chrono::Utc::now().timestamp() - 86_400;

    let response = open(&app, &format!("/track/{}", token(id(&placed), yesterday))).await;
    assert_eq!(response.status(), StatusCode::GONE);
    assert!(response.text().await.unwrap().contains("expired"));

    let response = open(&app, &format!("/track/{}", token(id(&placed), yesterday + 2 * 86_400))).await;
    assert_eq!(response.status(), StatusCode::OK, "the same token but for its expiry");
}

/// A token of the service, signed with the key of these tests.
pub(crate) fn token(order_id: &str, expires_at: i64) -> String {
    let mut token = vec![1];
    token.extend_from_slice(order_id.parse::<uuid::Uuid>().unwrap().as_bytes());
    token.extend_from_slice(&expires_at.to_be_bytes());
    let mut mac = Hmac::<Sha256>::new_from_slice(&[0x11; 32]).unwrap();
    mac.update(b"muster order tracking");
    mac.update(&token);
    token.extend_from_slice(&mac.finalize().into_bytes());
    URL_SAFE_NO_PAD.encode(token)
}
