//! A topic, and a consumer whose handler does what the test wants.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use consumer::{Consumer, Handler, Message, Outcome, Retry, Settings};
use events::{Envelope, Kafka, Propagation};
use pg::{Columns as _, Pool};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::{Database, Record, Topics, endpoints, wait_for};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything may take that should happen soon, on a machine that is busy.
pub(crate) const SOON: Duration = Duration::from_secs(90);

const RETRY_TOPICS: [&str; 2] = ["records.retry.1", "records.retry.2"];

/// What the handler was asked and did.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Payloads in the order in which handling them began.
    pub(crate) begun: Vec<String>,
    /// Payloads in the order in which they were done.
    pub(crate) done: Vec<String>,
    /// Payloads whose handling failed or was ended from outside.
    pub(crate) dropped: Vec<String>,
}

/// A handler that waits with the payloads that are blocked.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    pub(crate) log: Arc<Mutex<Log>>,
    blocked: watch::Sender<BTreeSet<String>>,
    /// How often these payloads still fail.
    failing: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// Notes the end of a handler that was dropped.
struct Handling<'a> {
    recorder: &'a Recorder,
    payload: &'a str,
    done: bool,
}

impl Handler for Recorder {
    async fn handle(&self, message: &Message) -> Outcome {
        let payload = String::from_utf8(message.payload.clone()).unwrap();
        self.log.lock().unwrap().begun.push(payload.clone());
        let mut handling = Handling { recorder: self, payload: &payload, done: false };
        if let Some(left @ 1..) = self.failing.lock().unwrap().get_mut(&payload) {
            *left -= 1;
            return Outcome::Retry("the test lets it fail".to_owned());
        }
        let mut blocked = self.blocked.subscribe();
        if blocked.wait_for(|blocked| !blocked.contains(&payload)).await.is_err() {
            pending::<()>().await;
        }
        handling.done = true;
        Outcome::Done
    }
}

impl Drop for Handling<'_> {
    fn drop(&mut self) {
        let mut log = self.recorder.log.lock().unwrap();
        let list = if self.done { &mut log.done } else { &mut log.dropped };
        list.push(self.payload.to_owned());
    }
}

impl Recorder {
    /// Makes a handler that does not finish these before they are released.
    pub(crate) fn blocking(payloads: &[&str]) -> Self {
        let payloads = payloads.iter().map(|payload| (*payload).to_owned()).collect();
        Self { log: Arc::default(), blocked: watch::Sender::new(payloads), failing: Arc::default() }
    }

    /// Makes a handler that fails this often for a payload.
    pub(crate) fn failing(payload: &str, times: u32) -> Self {
        let recorder = Self::blocking(&[]);
        recorder.failing.lock().unwrap().insert(payload.to_owned(), times);
        recorder
    }

    pub(crate) fn release(&self) {
        self.blocked.send_replace(BTreeSet::new());
    }

    /// Waits until the log is as the condition says.
    pub(crate) async fn wait_until(&self, what: &str, condition: impl Fn(&Log) -> bool) {
        wait_for(what, SOON, async || condition(&self.log.lock().unwrap()).then_some(())).await;
    }
}

/// A consumer that runs.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), consumer::Error>>,
}

impl Running {
    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// A topic with its retry topics, the group that reads it, and the database of that group.
pub(crate) struct World {
    topics: Topics,
    pub(crate) database: Database,
    pool: Pool,
    producer: FutureProducer,
    /// The retry topics that a consumer gets, with their delays.
    pub(crate) retries: Vec<(&'static str, Duration)>,
}

impl World {
    pub(crate) async fn new(partitions: i32) -> Self {
        let [first, second] = RETRY_TOPICS;
        let topics = [("records", partitions), ("records.dlq", 1), (first, partitions), (second, partitions)];
        let topics = Topics::create(&topics).await;
        let database = Database::create("consumer").await;
        let pool = database.pool(&[("consumer", consumer::MIGRATIONS)]).await;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &endpoints().kafka_bootstrap_servers)
            .create()
            .unwrap();
        let retries = vec![(first, Duration::from_millis(300)), (second, Duration::from_millis(600))];
        Self { topics, database, pool, producer, retries }
    }

    /// The topic, and the name of its group.
    pub(crate) fn topic(&self) -> &str {
        self.topics.name("records")
    }

    /// Starts a consumer.
    pub(crate) fn start<H: Handler + Clone>(
        &self,
        handler: &H,
        drain: Duration,
        due_after: Duration,
    ) -> Running {
        let settings = Settings {
            topic: self.topic().to_owned(),
            group: self.topic().to_owned(),
            retries: self.retries(),
            dead_letter_topic: Some(self.topics.name("records.dlq").to_owned()),
            handler_timeout: Duration::from_mins(10),
            drain_timeout: drain,
            due_after,
        };
        let kafka = Kafka::plaintext(&endpoints().kafka_bootstrap_servers);
        let consumer = Consumer::new(&kafka, self.pool.clone(), settings, handler.clone()).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(consumer.run(stop.clone()));
        Running { stop, task }
    }

    fn retries(&self) -> Vec<Retry> {
        let retries = self.retries.iter();
        retries
            .map(|(topic, delay)| Retry { topic: self.topics.name(topic).to_owned(), delay: *delay })
            .collect()
    }

    /// Reads the retry topic with this number.
    pub(crate) async fn retried(&self, number: usize, at_least: usize) -> Vec<Record> {
        testkit::Kafka::read(self.topics.name(RETRY_TOPICS[number]), at_least).await
    }

    pub(crate) async fn dead_letters(&self, at_least: usize) -> Vec<Record> {
        testkit::Kafka::read(self.topics.name("records.dlq"), at_least).await
    }

    /// The payloads of the postponed events, in the order of their places.
    pub(crate) async fn postponed(&self) -> Vec<String> {
        let sql = "SELECT convert_from(payload, 'UTF8') FROM postponed_events ORDER BY place";
        let rows = self.database.connect().await.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.column(0).unwrap()).collect()
    }

    /// Waits until these payloads are postponed.
    pub(crate) async fn wait_until_postponed(&self, payloads: &[&str]) {
        wait_for(&format!("{payloads:?} to be postponed"), SOON, async || {
            (self.postponed().await == payloads).then_some(())
        })
        .await;
    }

    /// Writes a record.
    pub(crate) async fn send(&self, partition: i32, key: &str, payload: &str) {
        self.send_at(partition, key, payload, Utc::now()).await;
    }

    /// Writes a record that is as old as this.
    pub(crate) async fn send_at(&self, partition: i32, key: &str, payload: &str, at: DateTime<Utc>) {
        self.write((self.topic(), partition), key, payload, at, OwnedHeaders::new()).await;
    }

    /// Writes a record with headers of its own before those of the envelope.
    pub(crate) async fn send_with(&self, partition: i32, key: &str, payload: &str, headers: OwnedHeaders) {
        self.write((self.topic(), partition), key, payload, Utc::now(), headers).await;
    }

    /// Writes a record to the first retry topic, which is due after this time.
    pub(crate) async fn send_to_retry(&self, key: &str, payload: &str, delay: Duration) {
        let due = (Utc::now() + delay).to_rfc3339();
        let own = OwnedHeaders::new().insert(Header { key: "retry-not-before", value: Some(&due) });
        self.write((self.topics.name(RETRY_TOPICS[0]), 0), key, payload, Utc::now(), own).await;
    }

    async fn write(
        &self,
        (topic, partition): (&str, i32),
        key: &str,
        payload: &str,
        at: DateTime<Utc>,
        own: OwnedHeaders,
    ) {
        let envelope = Envelope {
            event_id: Uuid::now_v7(),
            event_type: "test".to_owned(),
            occurred_at: at,
            propagation: Propagation::default(),
        };
        let headers = envelope.to_headers();
        let headers = headers
            .iter()
            .fold(own, |all, (key, value)| all.insert(Header { key, value: Some(value.as_str()) }));
        let record = FutureRecord::to(topic)
            .partition(partition)
            .key(key)
            .payload(payload)
            .headers(headers)
            .timestamp(at.timestamp_millis());
        self.producer.send(record, SOON).await.unwrap();
    }

    /// The offset that the group has committed.
    pub(crate) fn committed(&self, partition: i32) -> Option<i64> {
        let reader: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &endpoints().kafka_bootstrap_servers)
            .set("group.id", self.topic())
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(self.topic(), partition);
        let committed = reader.committed_offsets(list, SOON).unwrap();
        match committed.elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}

/// The value of a metric of this topic.
pub(crate) fn metric(name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let families = prometheus::gather();
    let family = families.iter().find(|family| family.name() == name)?;
    let metric = family.get_metric().iter().find(|metric| {
        labels.iter().all(|(name, value)| {
            metric.get_label().iter().any(|label| label.name() == *name && label.value() == *value)
        })
    })?;
    Some(metric.get_gauge().get_value() + metric.get_counter().get_value())
}
