//! An outbox with a database and topics of its own, relays, and what arrived.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use events::Kafka;
use outbox::{Backlog, Relay};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
};
use testkit::{Database, Record, Topics, endpoints, pool_at, wait_for};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything may take that should happen soon, on a machine that is busy.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// A poll interval beyond the end of every test.
const NEVER: Duration = Duration::from_hours(1);

const INSERT: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, occurred_at)
VALUES ($1, $2, $3, 'test', $4, now())";

/// What belongs to one test.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) topics: Topics,
    client: Client,
}

/// A relay in a task.
pub(crate) struct Running {
    wake: Arc<Notify>,
    backlog: watch::Receiver<Option<Backlog>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Wakes it, as the writer of its replica does after COMMIT.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until the relay measures a backlog that is as expected.
    pub(crate) async fn measures(&self, what: &str, expected: impl Fn(&Backlog) -> bool) {
        wait_for(what, SOON, async || (*self.backlog.borrow()).filter(&expected)).await;
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap();
    }

    /// Drops it where it is.
    pub(crate) async fn abort(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

impl World {
    /// Makes a database with an outbox, and topics.
    pub(crate) async fn new(topics: &[(&str, i32)]) -> Self {
        let database = Database::create("outbox").await;
        database.pool(&[("outbox", outbox::MIGRATIONS)]).await;
        let client = database.connect().await;
        Self { database, topics: Topics::create(topics).await, client }
    }

    /// Writes an event: its payload is its key and its number, and filled up to this size.
    pub(crate) async fn append(&self, topic: &str, key: &str, number: usize, size: usize) {
        self.append_to(self.topics.name(topic), key, number, size).await;
    }

    /// The same, to a topic with exactly this name.
    pub(crate) async fn append_to(&self, topic: &str, key: &str, number: usize, size: usize) {
        let mut payload = format!("{key} {number} ").into_bytes();
        payload.resize(size.max(payload.len()), b'.');
        let inserted = self.client.execute(INSERT, &[&Uuid::now_v7(), &topic, &key, &payload]).await.unwrap();
        assert_eq!(inserted, 1);
    }

    /// Starts a relay on the shared broker.
    pub(crate) async fn relay(&self) -> Running {
        start_relay(&self.database.url(), &endpoints().kafka_bootstrap_servers).await
    }

    /// Starts a relay that reads rows after a wake-up only.
    pub(crate) async fn relay_without_poll(&self) -> Running {
        let pool = self.database.pool(&[("outbox", outbox::MIGRATIONS)]).await;
        let kafka = Kafka::plaintext(&endpoints().kafka_bootstrap_servers);
        start(Relay::with_poll_interval(pool, kafka, NEVER))
    }

    /// How many rows a query finds.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Waits until a query finds this many rows.
    pub(crate) async fn until(&self, what: &str, sql: &str, expected: i64) {
        wait_for(what, SOON, async || (self.count(sql).await == expected).then_some(())).await;
    }

    /// Connects again, after the sessions were ended.
    pub(crate) async fn reconnect(&mut self) {
        self.client = self.database.connect().await;
    }

    /// Waits until everything is published that can be.
    pub(crate) async fn published(&self) {
        self.until("all events to be published", "SELECT count(*) FROM outbox_unpublished", 0).await;
    }

    /// Waits until this many relays share the buckets.
    pub(crate) async fn shared_by(&self, relays: i64) {
        let most = (16 + relays - 1) / relays;
        let sql = format!(
            "SELECT CASE WHEN max(n) <= {most} AND sum(n) = 16 THEN count(*) ELSE 0 END FROM (
                SELECT count(*) AS n FROM outbox_bucket WHERE lease_until > clock_timestamp() GROUP BY session) s"
        );
        self.until("the relays to share the buckets", &sql, relays).await;
    }

    /// Sets a topic's configuration.
    pub(crate) async fn configure(&self, topic: &str, name: &str, value: &str) {
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &endpoints().kafka_bootstrap_servers)
            .create()
            .unwrap();
        let change = AlterConfig::new(ResourceSpecifier::Topic(self.topics.name(topic))).set(name, value);
        let options = AdminOptions::new().request_timeout(Some(SOON)).operation_timeout(Some(SOON));
        for outcome in admin.alter_configs(&[change], &options).await.unwrap() {
            outcome.unwrap();
        }
    }

    /// All that is in a topic, once there are this many records.
    pub(crate) async fn records(&self, topic: &str, at_least: usize) -> Vec<Record> {
        testkit::Kafka::read(self.topics.name(topic), at_least).await
    }
}

/// Starts a relay in a task.
pub(crate) async fn start_relay(database_url: &str, kafka: &str) -> Running {
    let pool = pool_at(database_url, &[("outbox", outbox::MIGRATIONS)]).await;
    start(Relay::new(pool, Kafka::plaintext(kafka)))
}

fn start(relay: Arc<Relay>) -> Running {
    let stop = CancellationToken::new();
    Running {
        wake: relay.wake(),
        backlog: relay.backlog(),
        task: tokio::spawn(relay.run(stop.clone())),
        stop,
    }
}

/// Key and number of an event.
pub(crate) fn event(record: &Record) -> (String, usize) {
    let payload = String::from_utf8(record.payload.clone().unwrap()).unwrap();
    let mut words = payload.split(' ');
    (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap())
}

/// The events of each key, each at its first delivery.
pub(crate) fn first_deliveries(records: &[Record]) -> BTreeMap<String, Vec<usize>> {
    let mut seen = HashSet::new();
    let mut events = BTreeMap::<_, Vec<_>>::new();
    for record in records {
        if seen.insert(&record.headers["event-id"]) {
            let (key, number) = event(record);
            events.entry(key).or_default().push(number);
        }
    }
    events
}

/// Checks that the first deliveries of each of these keys are the numbers from zero on, in order.
pub(crate) fn assert_complete(records: &[Record], keys: usize, events_of_each: usize) {
    let delivered = first_deliveries(records);
    assert_eq!(delivered.len(), keys);
    for (key, numbers) in delivered {
        assert!(numbers.iter().copied().eq(0..events_of_each), "{key}: {numbers:?}");
    }
}

/// The value of a metric of this process.
pub(crate) fn metric(name: &str) -> f64 {
    let families = prometheus::gather();
    let family = families.iter().find(|family| family.name() == name).unwrap();
    let metric = &family.get_metric()[0];
    metric.get_gauge().get_value() + metric.get_counter().get_value()
}
