//! End-to-end test of the three services: one order, one mail, one public page, one trace with its `tracestate` and baggage.

#![expect(clippy::unwrap_used, reason = "test harness")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{
    Database, FaultProxy, Kafka, Keys, Mailbox, Process, Span, Topics, Zipkin, client, endpoints,
    scratch_dir, wait_for,
};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(90);
const EVENTS: &str = "orders.events";
const DEAD_LETTERS: &str = "orders.events.email-consumer.dlq";

/// The three services, each with its own database, and one topic.
struct Shop {
    orders: Process,
    shortener: Process,
    _email_consumer: Process,
    /// Between email-consumer and url-shortener.
    links: FaultProxy,
    topics: Topics,
    keys: Keys,
}

/// The programs belong to other packages, so cargo does not build them for this test.
fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_muster")).with_file_name(name);
    assert!(program.is_file(), "{name} is not built: run the tests with `make test`");
    program
}

fn catalogue() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/orders/catalogue.json")
}

impl Shop {
    async fn open() -> Self {
        let keys = Keys::generate(&scratch_dir("end-to-end"));
        let topics = Topics::create(&[(EVENTS, 6), (DEAD_LETTERS, 1)]).await;
        let orders = Self::orders(&keys, &topics).await;
        let shortener = Process::builder(program("url-shortener"))
            .env("DATABASE_URL", Database::create("url_shortener").await.url())
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("LINKS_PUBLIC_URL", "http://links.example")
            .env("LINKS_CURSOR_KEYS", format!("test:{}", "33".repeat(32)))
            .spawn()
            .await;
        let links = FaultProxy::start(shortener.http_url().replace("http://", "")).await;
        let email_consumer = Self::email_consumer(&keys, &topics, &links).await;
        Self { orders, shortener, _email_consumer: email_consumer, links, topics, keys }
    }

    async fn orders(keys: &Keys, topics: &Topics) -> Process {
        Process::builder(program("orders"))
            .env("DATABASE_URL", Database::create("orders").await.url())
            .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
            .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("ORDERS_EVENTS_TOPIC", topics.name(EVENTS))
            .env("ORDERS_CATALOGUE_FILE", catalogue())
            .env("ORDERS_TRACKING_KEY", "11".repeat(32))
            .env("ORDERS_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
            .env("ORDERS_PUBLIC_URL", "http://orders.example")
            .spawn()
            .await
    }

    async fn email_consumer(keys: &Keys, topics: &Topics, links: &FaultProxy) -> Process {
        Process::builder(program("email-consumer"))
            .env("DATABASE_URL", Database::create("email_consumer").await.url())
            .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
            .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
            .env("ORDERS_EVENTS_TOPIC", topics.name(EVENTS))
            .env("EMAIL_GROUP_ID", topics.name(EVENTS))
            .env("EMAIL_RETRY_TOPIC", format!("{}.retry", topics.name(EVENTS)))
            .env("EMAIL_DEAD_LETTER_TOPIC", topics.name(DEAD_LETTERS))
            .env("SMTP_HOST", &endpoints().smtp_host)
            .env("SMTP_PORT", endpoints().smtp_port.to_string())
            .env("EMAIL_FROM", "Muster <orders@muster.test>")
            .env("LINKS_URL", format!("http://{}", links.addr()))
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("EMAIL_SIGNING_KEY_FILE", keys.email_consumer_key_file())
            .env("EMAIL_LINK_CODE_KEY", "5a".repeat(32))
            .spawn()
            .await
    }

    /// Places an order as part of a trace, and returns its id.
    async fn place(&self, customer: &str, sku: &str, trace_id: &str) -> String {
        let response = client()
            .post(format!("{}/v1/orders", self.orders.http_url()))
            .bearer_auth(self.keys.token("acme", &["orders:write"]))
            .header("Idempotency-Key", customer)
            .header("traceparent", format!("00-{trace_id}-00f067aa0ba902b7-01"))
            .header("tracestate", format!("vendor=opaque, other={sku}").to_lowercase())
            .header("baggage", format!("k=a=b;prop=1, x=%20{sku}"))
            .json(&json!({ "customer_email": customer, "lines": [{ "sku": sku, "quantity": 1 }] }))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// `tracestate` and baggage of the request are in the order's events and in the call of url-shortener.
    async fn assert_propagated(&self, order_id: &str, trace_id: &str, sku: &str) {
        let tracestate = format!("vendor=opaque,other={sku}").to_lowercase();
        let baggage = format!("k=a=b;prop=1,x=%20{sku}");
        let events = Kafka::read(self.topics.name(EVENTS), 2).await;
        let events: Vec<_> = events.iter().filter(|event| event.key.as_deref() == Some(order_id)).collect();
        assert_eq!(events.len(), 2);
        for event in events {
            assert!(event.headers["traceparent"].contains(trace_id));
            assert_eq!((&event.headers["tracestate"], &event.headers["baggage"]), (&tracestate, &baggage));
        }
        let sent = self.links.sent();
        let call = sent.split("PUT /v1/links/").find(|call| call.contains(trace_id)).unwrap();
        assert!(call.contains(&format!("tracestate: {tracestate}\r\n")), "{call}");
        assert!(call.contains(&format!("baggage: {baggage}\r\n")), "{call}");
    }

    /// Follows the short link of a mail to the order's public page.
    async fn page_behind(&self, mail: &str) -> String {
        let short =
            mail.split_whitespace().find_map(|word| word.strip_prefix("http://links.example")).unwrap();
        let redirect = client().get(format!("{}{short}", self.shortener.http_url())).send().await.unwrap();
        assert_eq!(redirect.status(), StatusCode::FOUND);
        let target = redirect.headers()["location"].to_str().unwrap().to_owned();
        let path = target.strip_prefix("http://orders.example").unwrap();
        let page = client().get(format!("{}{path}", self.orders.http_url())).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        page.text().await.unwrap()
    }
}

#[tokio::test]
async fn an_order_becomes_one_mail_one_page_and_one_trace() {
    let shop = Shop::open().await;
    for (sku, outcome) in [("TEA-SENCHA", "confirmed"), ("WHISK-BAMBOO", "could not be fulfilled")] {
        let customer = format!("{}@example.com", Uuid::new_v4().simple());
        let trace_id = Uuid::new_v4().simple().to_string();

        let order_id = shop.place(&customer, sku, &trace_id).await;

        let mails = Mailbox::wait_for(&customer, 1).await;
        assert_eq!(mails.len(), 1);
        assert!(mails[0].text().contains(&order_id));
        let page = shop.page_behind(mails[0].text()).await;
        assert!(page.contains(&format!("Order {outcome}")) && page.contains(&order_id), "{page}");
        assert_one_trace(&trace_id).await;
        shop.assert_propagated(&order_id, &trace_id, sku).await;
    }
}

async fn assert_one_trace(trace_id: &str) {
    let expected = BTreeSet::from(["orders", "email-consumer", "url-shortener"]);
    let spans = wait_for("spans of every service", SOON, async || {
        let spans = Zipkin::trace(trace_id).await;
        let services: BTreeSet<_> = spans.iter().map(Span::service).collect();
        (services == expected && spans.iter().any(|span| span.name.starts_with("smtp"))).then_some(spans)
    })
    .await;
    let ids: BTreeSet<_> = spans.iter().map(|span| span.id.as_str()).collect();
    let roots =
        spans.iter().filter(|span| !span.parent_id.as_deref().is_some_and(|parent| ids.contains(parent)));
    let roots: Vec<_> = roots.map(|span| (span.service(), span.name.as_str())).collect();
    assert_eq!(roots.len(), 1, "the trace has one root span: {roots:?}");
    assert_eq!(roots[0].0, "orders");
}
