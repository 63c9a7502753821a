//! Links and spans over `https://`, with certificates of a private authority.

use std::time::{Duration, SystemTime};

use events::orders::OrderConfirmed;
use testkit::{Authority, Builder, Mailbox, TlsProxy, Zipkin, client, endpoints, wait_for};
use uuid::Uuid;

use crate::{
    orders::{Order, envelope},
    world::{SOON, World, wait_until_missing},
};

const UNSENT_SPANS: &str = "spans cannot be sent; requests are not affected, traces will be incomplete";

#[tokio::test(flavor = "multi_thread")]
async fn url_shortener_and_the_collector_are_verified_and_an_unknown_authority_is_named() {
    let world = World::new().await;
    let authority = Authority::new();
    let server = authority.certificate("127.0.0.1");
    let links = TlsProxy::start(world.links.addr().to_string(), &server).await;
    let collector: url::Url = endpoints().otlp_url.parse().unwrap();
    let collector = TlsProxy::start(collector.socket_addrs(|| None).unwrap()[0].to_string(), &server).await;
    let consumer = |trusted: &Authority| -> Builder {
        world
            .consumer()
            .env("LINKS_URL", format!("https://{}", links.addr()))
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://{}", collector.addr()))
            .env("OTEL_BSP_SCHEDULE_DELAY", "50")
            .env("TLS_EXTRA_CA_FILE", trusted.file())
    };
    let trace_id = Uuid::new_v4().simple().to_string();
    let order = Order::new();
    let envelope = events::Envelope {
        propagation: events::Propagation {
            traceparent: Some(format!("00-{trace_id}-00f067aa0ba902b7-01")),
            ..events::Propagation::default()
        },
        ..envelope::<OrderConfirmed>()
    };
    world.publisher.publish_as(&order, &order.confirmed(), &envelope).await;

    let stranger = consumer(&Authority::new()).without_readiness().spawn().await;
    wait_until_missing(&stranger, "url-shortener").await;
    let report = client().get(format!("{}/ready", stranger.admin_url())).send().await.unwrap();
    let report: serde_json::Value = report.json().await.unwrap();
    assert!(report["checks"]["url-shortener"].as_str().unwrap().contains("TLS_EXTRA_CA_FILE"), "{report}");
    wait_for("spans that cannot be sent", SOON, async || {
        let logs = stranger.logs();
        let line = logs.lines().find(|line| line.contains(UNSENT_SPANS))?;
        assert!(line.contains("TLS_EXTRA_CA_FILE"), "{line}");
        Some(())
    })
    .await;
    assert!(Mailbox::messages(&order.email).await.is_empty());
    drop(stranger);

    let consumer = consumer(&authority).spawn().await;
    Mailbox::wait_for(&order.email, 1).await;
    wait_for("the span of the mail", SOON, async || {
        let spans = Zipkin::trace(&trace_id).await;
        spans.iter().any(|span| span.service() == "email-consumer" && span.name == "smtp send").then_some(())
    })
    .await;
    assert!(!consumer.logs().contains(UNSENT_SPANS));
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_wait_while_the_certificate_of_url_shortener_has_expired() {
    let world = World::new().await;
    let authority = Authority::new();
    let expired = authority.certificate_until("127.0.0.1", SystemTime::now() - Duration::from_mins(1));
    let links = TlsProxy::start(world.links.addr().to_string(), &expired).await;
    let consumer = |links: &TlsProxy| {
        world
            .consumer()
            .env("LINKS_URL", format!("https://{}", links.addr()))
            .env("TLS_EXTRA_CA_FILE", authority.file())
    };
    let order = Order::new();
    world.publisher.publish(&order, &order.confirmed()).await;

    let waiting = consumer(&links).without_readiness().spawn().await;
    wait_until_missing(&waiting, "url-shortener").await;
    let report = client().get(format!("{}/ready", waiting.admin_url())).send().await.unwrap();
    let report: serde_json::Value = report.json().await.unwrap();
    let check = report["checks"]["url-shortener"].as_str().unwrap();
    assert!(check.contains("has expired") && check.contains("renew the certificate"), "{report}");
    wait_for("another attempt", SOON, async || {
        let logs = waiting.logs();
        let line = logs.lines().find(|line| line.contains("trying again"))?;
        assert!(line.contains("renew the certificate"), "{line}");
        Some(())
    })
    .await;
    assert!(Mailbox::messages(&order.email).await.is_empty());
    drop(waiting);

    let links = TlsProxy::start(world.links.addr().to_string(), &authority.certificate("127.0.0.1")).await;
    let _consumer = consumer(&links).spawn().await;
    Mailbox::wait_for(&order.email, 1).await;
}
