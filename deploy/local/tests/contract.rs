//! Contract test with schemathesis: valid and invalid requests, generated from the OpenAPI document of a service, and a comparison of
//! every response with the document.

#![expect(clippy::unwrap_used, reason = "test harness")]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use futures::future::join_all;
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::{Builder, Database, Keys, Process, Topics, client, endpoints, scratch_dir};
use tokio::{process::Command, task::AbortHandle};
use uuid::Uuid;

/// Minimum of requests to all services; fewer mean that the tool stopped early.
const MIN_REQUESTS: f64 = 7_000.0;

/// Time between two events that become dead letters: the tool replays and discards letters, and must find others afterwards.
const LETTER_INTERVAL: Duration = Duration::from_millis(200);

/// Time limit for the acknowledgement of an event.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

const EVENTS: &str = "orders.events";
const DEAD_LETTERS: &str = "orders.events.email-consumer.dlq";

/// A running service, and a token with all of its scopes.
struct Target {
    process: Process,
    token: String,
}

/// Events that become dead letters, one after the other until this value is dropped.
struct Letters(AbortHandle);

/// The programs belong to other packages, so cargo does not build them for this test.
fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_muster")).with_file_name(name);
    assert!(program.is_file(), "{name} is not built: run the tests with `make test`");
    program
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Target {
    async fn orders(keys: &Keys) -> Self {
        let topics = Topics::create(&[("orders.events", 3)]).await;
        let process = Process::builder(program("orders"))
            .env("DATABASE_URL", Database::create("orders").await.url())
            .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
            .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("ORDERS_EVENTS_TOPIC", topics.name("orders.events"))
            .env("ORDERS_CATALOGUE_FILE", checkout().join("services/orders/catalogue.json"))
            .env("ORDERS_TRACKING_KEY", "11".repeat(32))
            .env("ORDERS_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
            .env("ORDERS_PUBLIC_URL", "http://orders.example");
        Self::start(process, keys, &["orders:write", "orders:read"]).await
    }

    async fn url_shortener(keys: &Keys) -> Self {
        let process = Process::builder(program("url-shortener"))
            .env("DATABASE_URL", Database::create("url_shortener").await.url())
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("LINKS_PUBLIC_URL", "http://links.example")
            .env("LINKS_CURSOR_KEYS", format!("test:{}", "33".repeat(32)));
        Self::start(process, keys, &["links:write", "links:read"]).await
    }

    async fn email_consumer(keys: &Keys, links_url: &str) -> (Self, Letters) {
        let topics = Topics::create(&[(EVENTS, 3), (DEAD_LETTERS, 2)]).await;
        topics.create_retry_topics(EVENTS, &["5s"], 3).await;
        let process = Process::builder(program("email-consumer"))
            .env("DATABASE_URL", Database::create("email_consumer").await.url())
            .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
            .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
            .env("ORDERS_EVENTS_TOPIC", topics.name(EVENTS))
            .env("EMAIL_GROUP_ID", topics.name(EVENTS))
            .env("EMAIL_RETRY_TOPIC", format!("{}.retry", topics.name(EVENTS)))
            .env("EMAIL_RETRY_DELAYS", "5s")
            .env("EMAIL_DEAD_LETTER_TOPIC", topics.name(DEAD_LETTERS))
            .env("SMTP_HOST", &endpoints().smtp_host)
            .env("SMTP_PORT", endpoints().smtp_port.to_string())
            .env("EMAIL_FROM", "Muster <orders@muster.test>")
            .env("LINKS_URL", links_url)
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("EMAIL_SIGNING_KEY_FILE", keys.email_consumer_key_file())
            .env("EMAIL_LINK_CODE_KEY", "5a".repeat(32));
        let target = Self::start(process, keys, &["dead-letters:read", "dead-letters:write"]).await;
        (target, Letters::keep_arriving(topics.name(EVENTS)))
    }

    async fn start(process: Builder, keys: &Keys, scopes: &[&str]) -> Self {
        // The spans of thousands of requests have no use.
        let process = process.env("OTEL_TRACES_EXPORTER", "none").spawn().await;
        Self { process, token: keys.token("acme", scopes) }
    }

    /// Runs the tool against the service; returns its output if it found a difference.
    async fn run_schemathesis(&self) -> Option<String> {
        let tool = checkout().join(".muster/tools/bin/schemathesis");
        assert!(tool.is_file(), "{} is missing: run `make contract`", tool.display());
        let output = Command::new(tool)
            .arg("--config-file")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/schemathesis.toml"))
            .arg("run")
            .arg(format!("{}/openapi.json", self.process.http_url()))
            .env("CONTRACT_TOKEN", &self.token)
            .current_dir(scratch_dir("schemathesis"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let output_text = || {
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        };
        (!output.status.success()).then(output_text)
    }

    /// The number of requests that the service answered, by its own metric.
    async fn n_requests(&self) -> f64 {
        let metrics = client().get(format!("{}/metrics", self.process.admin_url())).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let counts =
            metrics.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count{"));
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Letters {
    fn keep_arriving(topic: &str) -> Self {
        let servers = &endpoints().kafka_bootstrap_servers;
        let producer: FutureProducer =
            ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
        let topic = topic.to_owned();
        let sending = async move {
            loop {
                send_garbled(&producer, &topic).await;
                tokio::time::sleep(LETTER_INTERVAL).await;
            }
        };
        Self(tokio::spawn(sending).abort_handle())
    }
}

impl Drop for Letters {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Writes an event that is not Avro.
async fn send_garbled(producer: &FutureProducer, topic: &str) {
    let headers = [
        ("event-id", Uuid::now_v7().to_string()),
        ("event-type", "muster.orders.OrderConfirmed".to_owned()),
        ("occurred-at", "2026-11-30T01:00:00Z".to_owned()),
    ];
    let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    });
    let key = Uuid::now_v7().to_string();
    let record = FutureRecord::to(topic).key(&key).payload("garbled").headers(headers);
    producer.send(record, SEND_TIMEOUT).await.unwrap();
}

#[tokio::test]
async fn every_response_matches_the_openapi_document() {
    let keys = Keys::generate(&scratch_dir("contract-keys"));
    let url_shortener = Target::url_shortener(&keys).await;
    let (email_consumer, _letters) = Target::email_consumer(&keys, &url_shortener.process.http_url()).await;
    let targets = [Target::orders(&keys).await, url_shortener, email_consumer];

    let found = join_all(targets.iter().map(Target::run_schemathesis)).await;

    let found: Vec<_> = found.into_iter().flatten().collect();
    assert!(found.is_empty(), "{}", found.join("\n\n"));
    let n_requests: f64 = join_all(targets.iter().map(Target::n_requests)).await.iter().sum();
    assert!(n_requests >= MIN_REQUESTS, "{n_requests} requests only");
}
