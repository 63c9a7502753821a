//! The Kafka producer of the relay, and the partitions of its topics.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use events::{Envelope, Kafka};
use futures::future::BoxFuture;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{FutureProducer, FutureRecord, Producer, PurgeConfig},
};
use telemetry::{semconv, trace::Propagation};
use tracing::{Instrument, Span};

use crate::{
    in_flight::{self, TopicPartition},
    metrics,
    rows::{Head, Key, Pending},
};

/// Time limit for the metadata of a topic.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the number of partitions is cached.
const TOPIC_TTL: Duration = Duration::from_mins(1);

/// Pause after metadata that could not be fetched.
const PAUSE: Duration = Duration::from_secs(1);

/// The outcome of a row.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) seq: i64,
    pub(crate) outcome: Result<(), KafkaError>,
}

/// The scope of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The message or its batch.
    Message,
    /// The partition or its topic.
    Partition,
    /// The producer, which must be replaced.
    Producer,
}

pub(crate) struct Publisher(FutureProducer);

impl Publisher {
    /// Makes a producer; it connects by itself.
    pub(crate) fn new(kafka: &Kafka) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        for (property, value) in kafka.properties() {
            config.set(property, value);
        }
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // No message times out. A message that did would block every partition until the producer has a new epoch.
            .set("message.timeout.ms", "0")
            .set("linger.ms", "2")
            // `InFlight` is the bound. Twice as much, because a message counts until shortly after its acknowledgement.
            .set("queue.buffering.max.messages", (2 * in_flight::ROWS).to_string())
            .set("queue.buffering.max.kbytes", (2 * in_flight::BYTES / 1_024).to_string())
            .set("socket.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "2000")
            .set("topic.metadata.refresh.interval.ms", "60000")
            .create()
            .map(Self)
    }

    /// Sends a row. The returned future ends with the broker's answer; it has no timeout.
    pub(crate) fn send(
        &self,
        row: &Pending,
        partition: i32,
    ) -> Result<BoxFuture<'static, Delivery>, KafkaError> {
        let span = publish_span(row);
        let envelope = Envelope {
            event_id: row.event_id,
            event_type: row.event_type.clone(),
            occurred_at: row.occurred_at,
            propagation: span.in_scope(Propagation::current).or(&row.propagation),
        };
        let headers = envelope.to_headers().iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let record = FutureRecord::to(&row.key.topic)
            .partition(partition)
            .key(row.key.key.as_ref())
            .payload(&row.payload)
            .headers(headers);
        let delivery = self.0.send_result(record).map_err(|(error, _)| error)?;
        let (seq, occurred_at) = (row.seq, row.occurred_at);
        let acknowledged = async move {
            let outcome = match delivery.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(error),
                Err(_) => Err(KafkaError::Canceled),
            };
            if outcome.is_ok() {
                metrics::PUBLISHED.inc();
                let delay = (Utc::now() - occurred_at).to_std().unwrap_or_default();
                metrics::DELAY.observe(delay.as_secs_f64());
            }
            Delivery { seq, outcome }
        };
        Ok(Box::pin(acknowledged.instrument(span)))
    }

    /// Drops queued and in-flight messages.
    pub(crate) fn purge(&self) {
        self.0.purge(PurgeConfig::default().queue().inflight());
    }

    pub(crate) fn partitions(&self, topic: &str) -> Result<u32, KafkaError> {
        let metadata = self.0.client().fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions).count();
        match u32::try_from(partitions) {
            Ok(partitions) if partitions > 0 => Ok(partitions),
            _ => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
        }
    }

    pub(crate) fn ping(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.0.client().fetch_metadata(None, timeout).map(drop)
    }
}

pub(crate) fn fault(error: &KafkaError) -> Fault {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidTimestamp
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidDifferentRecord,
        ) => Fault::Message,
        Some(RDKafkaErrorCode::Fatal) | None => Fault::Producer,
        Some(_) => Fault::Partition,
    }
}

/// A producer span in the trace of the event.
fn publish_span(row: &Pending) -> Span {
    let span = tracing::info_span!(
        "publish",
        otel.name = format!("publish {}", row.key.topic),
        otel.kind = "producer",
        { semconv::MESSAGING_SYSTEM } = semconv::KAFKA,
        { semconv::MESSAGING_OPERATION_TYPE } = "send",
        { semconv::MESSAGING_DESTINATION_NAME } = row.key.topic.as_ref(),
        { semconv::MESSAGING_MESSAGE_ID } = %row.event_id,
        { semconv::MESSAGING_KAFKA_MESSAGE_KEY } = row.key.key.as_ref(),
        event.type = row.event_type,
    );
    row.propagation.set_parent(&span);
    span
}

#[derive(Debug)]
struct Topic {
    partitions: Option<u32>,
    refresh_at: Instant,
}

/// The number of partitions by topic.
#[derive(Debug, Default)]
pub(crate) struct Topics(HashMap<Arc<str>, Topic>);

impl Topics {
    /// Fetches the metadata of the topics of these rows, unless it is cached.
    pub(crate) async fn refresh<'a>(
        &mut self,
        heads: impl Iterator<Item = &'a Head>,
        publisher: &Arc<Publisher>,
    ) {
        for topic in heads.map(|head| &head.key.topic) {
            let known = self.0.get(topic);
            if known.is_some_and(|known| known.refresh_at > Instant::now()) {
                continue;
            }
            let before = known.and_then(|known| known.partitions);
            let answer = fetch(publisher, Arc::clone(topic)).await;
            let pause = if answer.is_some() { TOPIC_TTL } else { PAUSE };
            let known = Topic { partitions: answer.or(before), refresh_at: Instant::now() + pause };
            self.0.insert(Arc::clone(topic), known);
        }
    }

    /// The partition of a key; `None` while the topic is unknown.
    pub(crate) fn place(&self, key: &Key) -> Option<TopicPartition> {
        let partitions = self.0.get(&key.topic)?.partitions?;
        Some((Arc::clone(&key.topic), partition(&key.key, partitions)))
    }
}

async fn fetch(publisher: &Arc<Publisher>, topic: Arc<str>) -> Option<u32> {
    let publisher = Arc::clone(publisher);
    // librdkafka's metadata call blocks its thread.
    let fetched = tokio::task::spawn_blocking(move || {
        publisher
            .partitions(&topic)
            .map_err(|error| tracing::warn!(%error, %topic, "cannot fetch the metadata of a topic"))
    });
    fetched.await.ok()?.ok()
}

/// The default partitioner of librdkafka (`consistent_random`), so that keys keep their partition.
fn partition(key: &str, partitions: u32) -> i32 {
    (crc32fast::hash(key.as_bytes()) % partitions).cast_signed()
}
