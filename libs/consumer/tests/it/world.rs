//! A topic, and a consumer whose handler does what the test wants.

use std::{
    collections::BTreeSet,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use consumer::{Consumer, Handler, Message, Outcome, Settings};
use events::{Envelope, Kafka, Propagation};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::{Topics, endpoints, wait_for};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything may take that should happen soon, on a machine that is busy.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// What the handler was asked and did.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Payloads in the order in which handling them began.
    pub(crate) begun: Vec<String>,
    /// Payloads in the order in which they were done.
    pub(crate) done: Vec<String>,
    /// Payloads whose handling was ended from outside.
    pub(crate) dropped: Vec<String>,
}

/// A handler that waits with the payloads that are blocked.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    pub(crate) log: Arc<Mutex<Log>>,
    blocked: watch::Sender<BTreeSet<String>>,
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
        Self { log: Arc::default(), blocked: watch::Sender::new(payloads) }
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

/// A topic and the group that reads it.
pub(crate) struct World {
    topics: Topics,
    producer: FutureProducer,
}

impl World {
    pub(crate) async fn new(partitions: i32) -> Self {
        let topics = Topics::create(&[("records", partitions), ("records.dlq", 1)]).await;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &endpoints().kafka_bootstrap_servers)
            .create()
            .unwrap();
        Self { topics, producer }
    }

    /// The topic, and the name of its group.
    pub(crate) fn topic(&self) -> &str {
        self.topics.name("records")
    }

    /// Starts a consumer.
    pub(crate) fn start(&self, recorder: &Recorder, drain: Duration, due_after: Duration) -> Running {
        let settings = Settings {
            topic: self.topic().to_owned(),
            group: self.topic().to_owned(),
            dead_letter_topic: self.topics.name("records.dlq").to_owned(),
            handler_timeout: Duration::from_mins(10),
            drain_timeout: drain,
            due_after,
        };
        let kafka = Kafka::plaintext(&endpoints().kafka_bootstrap_servers);
        let consumer = Consumer::new(&kafka, settings, recorder.clone()).unwrap();
        let stop = CancellationToken::new();
        Running { task: tokio::spawn(consumer.run(stop.clone())), stop }
    }

    /// Writes a record.
    pub(crate) async fn send(&self, partition: i32, key: &str, payload: &str) {
        self.send_at(partition, key, payload, Utc::now()).await;
    }

    /// Writes a record that is as old as this.
    pub(crate) async fn send_at(&self, partition: i32, key: &str, payload: &str, at: DateTime<Utc>) {
        let envelope = Envelope {
            event_id: Uuid::now_v7(),
            event_type: "test".to_owned(),
            occurred_at: at,
            propagation: Propagation::default(),
        };
        let headers = envelope.to_headers();
        let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(Header { key, value: Some(value.as_str()) })
        });
        let record = FutureRecord::to(self.topic())
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
