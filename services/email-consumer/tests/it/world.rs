//! The environment of a test: its own database, topics and url-shortener, each behind a fault proxy.

use std::{path::Path, time::Duration};

use testkit::{
    Builder, Database, FaultProxy, Keys, Process, Topics, client, endpoints, scratch_dir, wait_for,
};

use crate::orders::Publisher;

const EVENTS: &str = "orders.events";
const PROMOTIONS: &str = "orders.promotions";
const DEAD_LETTERS: &str = "orders.events.email-consumer.dlq";

/// Delays of the retry topics.
const RETRY_DELAYS: [&str; 3] = ["200ms", "400ms", "800ms"];

/// Timeout for anything that should happen soon, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// The parts around the service.
pub(crate) struct World {
    pub(crate) postgres: FaultProxy,
    pub(crate) registry: FaultProxy,
    pub(crate) smtp: FaultProxy,
    pub(crate) links: FaultProxy,
    pub(crate) shortener: Process,
    pub(crate) database: Database,
    pub(crate) publisher: Publisher,
    pub(crate) promotions: Publisher,
    topics: Topics,
    keys: Keys,
}

impl World {
    /// Starts the environment without the service.
    pub(crate) async fn new() -> Self {
        let world = Self::with_unregistered_schemas().await;
        world.publisher.register().await;
        world.promotions.register().await;
        world
    }

    /// Starts the environment without registered schemas.
    pub(crate) async fn with_unregistered_schemas() -> Self {
        let keys = Keys::generate(&scratch_dir("keys"));
        let shortener = start_shortener(&keys).await;
        let topics = Topics::create(&[(EVENTS, 6), (PROMOTIONS, 3), (DEAD_LETTERS, 1)]).await;
        topics.create_retry_topics(EVENTS, &RETRY_DELAYS, 6).await;
        let parts = endpoints();
        Self {
            postgres: FaultProxy::start(Database::server()).await,
            registry: FaultProxy::start(authority(&parts.schema_registry_url)).await,
            smtp: FaultProxy::start(format!("{}:{}", parts.smtp_host, parts.smtp_port)).await,
            links: FaultProxy::start(authority(&shortener.http_url())).await,
            shortener,
            database: Database::create("email_consumer").await,
            publisher: Publisher::unregistered(topics.name(EVENTS), &parts.kafka_bootstrap_servers),
            promotions: Publisher::of_promotions(topics.name(PROMOTIONS), &parts.kafka_bootstrap_servers),
            topics,
            keys,
        }
    }

    /// Starts the environment and the service.
    pub(crate) async fn with_consumer() -> (Self, Process) {
        let world = Self::new().await;
        let consumer = world.consumer().spawn().await;
        (world, consumer)
    }

    /// Returns a builder of the service.
    pub(crate) fn consumer(&self) -> Builder {
        let registry = endpoints().schema_registry_url.replacen(
            &authority(&endpoints().schema_registry_url),
            &self.registry.addr().to_string(),
            1,
        );
        Process::builder(env!("CARGO_BIN_EXE_email-consumer"))
            .env("DATABASE_URL", self.database.url_through(self.postgres.addr()))
            .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
            .env("SCHEMA_REGISTRY_URL", registry)
            .env("ORDERS_EVENTS_TOPIC", self.event_topic())
            .env("ORDERS_PROMOTIONS_TOPIC", self.topics.name(PROMOTIONS))
            // Each test has its own topic, so its name is unique for the group too.
            .env("EMAIL_GROUP_ID", self.event_topic())
            .env("EMAIL_RETRY_TOPIC", format!("{}.retry", self.event_topic()))
            .env("EMAIL_RETRY_DELAYS", RETRY_DELAYS.join(","))
            .env("EMAIL_DEAD_LETTER_TOPIC", self.dead_letter_topic())
            .env("SMTP_HOST", self.smtp.addr().ip().to_string())
            .env("SMTP_PORT", self.smtp.addr().port().to_string())
            .env("EMAIL_FROM", "Muster <orders@muster.test>")
            .env("LINKS_URL", format!("http://{}", self.links.addr()))
            .env("AUTH_JWKS_FILE", self.keys.jwks_file())
            .env("EMAIL_SIGNING_KEY_FILE", self.keys.email_consumer_key_file())
            .env("EMAIL_LINK_CODE_KEY", "5a".repeat(32))
    }

    pub(crate) fn event_topic(&self) -> &str {
        self.topics.name(EVENTS)
    }

    pub(crate) fn dead_letter_topic(&self) -> &str {
        self.topics.name(DEAD_LETTERS)
    }

    /// Deletes the dead-letter topic and creates it again, without letters.
    pub(crate) async fn recreate_dead_letter_topic(&self) {
        self.topics.recreate(DEAD_LETTERS).await;
    }

    /// Makes a token with these scopes.
    pub(crate) fn token(&self, scopes: &[&str]) -> String {
        self.keys.token("operators", scopes)
    }

    /// Runs a statement on the database of the service, as superuser.
    pub(crate) async fn execute(&self, sql: &str) {
        self.database.connect().await.batch_execute(sql).await.unwrap();
    }

    /// Follows a short link like a browser, and returns its target.
    pub(crate) async fn follow(&self, short_url: &str) -> String {
        let code = short_url.rsplit('/').next().unwrap();
        let answer = client().get(format!("{}/{code}", self.shortener.http_url())).send().await.unwrap();
        assert_eq!(answer.status(), 302);
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    /// Returns the kinds of the mails of an order, in the order of sending.
    pub(crate) async fn sent_kinds(&self, order_id: uuid::Uuid) -> Vec<String> {
        let sql = "SELECT kind FROM mails WHERE order_id = $1 AND state = 'sent' ORDER BY sent_at";
        let rows = self.database.connect().await.query(sql, &[&order_id]).await.unwrap();
        rows.iter().map(|row| row.get("kind")).collect()
    }

    /// Waits until no event is in progress: every mail is recorded as sent.
    pub(crate) async fn wait_until_recorded(&self, mails: i64) {
        let database = self.database.connect().await;
        wait_for(&format!("{mails} mails to be recorded as sent"), SOON, async || {
            let row =
                database.query_one("SELECT count(*) FROM mails WHERE state = 'sent'", &[]).await.ok()?;
            (row.get::<_, i64>(0) == mails).then_some(())
        })
        .await;
    }
}

/// Returns the first short link in a text.
pub(crate) fn short_link(text: &str) -> String {
    let link = text.split_whitespace().find(|word| word.starts_with("http://links.example/"));
    link.unwrap_or_else(|| panic!("no short link in {text}")).to_owned()
}

/// Returns the value of a counter by its name in the exposition format; 0 if it is missing.
pub(crate) async fn metric(process: &Process, series: &str) -> u64 {
    metric_text(process, series).await.map_or(0, |value| value.parse().unwrap())
}

/// Returns the value of a series as it is exposed.
pub(crate) async fn metric_text(process: &Process, series: &str) -> Option<String> {
    let url = format!("{}/metrics", process.admin_url());
    let text = client().get(url).send().await.unwrap().text().await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map(str::to_owned)
}

/// Waits until `/ready` reports only this dependency as down.
pub(crate) async fn wait_until_missing(process: &Process, dependency: &str) {
    let url = format!("{}/ready", process.admin_url());
    wait_for(&format!("readiness to name {dependency}"), SOON, async || {
        let answer = client().get(&url).send().await.ok()?;
        let status = answer.status();
        let report: serde_json::Value = answer.json().await.ok()?;
        let checks = report["checks"].as_object()?;
        let missing: Vec<_> =
            checks.iter().filter(|(_, outcome)| *outcome != "ok").map(|(name, _)| name).collect();
        (status == 503 && missing == [dependency]).then_some(())
    })
    .await;
}

/// Another package contains the program, so cargo does not build it for these tests.
async fn start_shortener(keys: &Keys) -> Process {
    let program = Path::new(env!("CARGO_BIN_EXE_email-consumer")).with_file_name("url-shortener");
    assert!(
        program.is_file(),
        "{} is missing: build it first with `cargo build --workspace`, as `make test` does",
        program.display()
    );
    Process::builder(program)
        .env("DATABASE_URL", Database::create("url_shortener").await.url())
        .env("AUTH_JWKS_FILE", keys.jwks_file())
        .env("LINKS_PUBLIC_URL", "http://links.example")
        .env("LINKS_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
        .spawn()
        .await
}

/// Returns `host:port` of a URL.
fn authority(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port_or_known_default().unwrap())
}
