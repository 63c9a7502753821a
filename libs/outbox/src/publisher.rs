//! The Kafka side of the relay.

use std::time::Duration;

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
use telemetry::semconv;
use tracing::{Instrument, Span};

use crate::{metrics, row::Pending, window};

/// How long the broker may take to describe a topic.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// What became of a row.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) seq: i64,
    pub(crate) outcome: Result<(), KafkaError>,
}

/// What a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The batch that the message was in, or the message.
    Message,
    /// The partition or its topic.
    Partition,
    /// The producer, which must be replaced.
    Producer,
}

/// An idempotent producer.
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
            // No message gives up by itself. One that did would have every partition wait until the producer has a new epoch.
            .set("message.timeout.ms", "0")
            .set("linger.ms", "2")
            // The window is the bound. Twice as much, because a message counts until shortly after its acknowledgement.
            .set("queue.buffering.max.messages", (2 * window::ROWS).to_string())
            .set("queue.buffering.max.kbytes", (2 * window::BYTES / 1_024).to_string())
            .set("socket.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "2000")
            .set("topic.metadata.refresh.interval.ms", "60000")
            .create()
            .map(Self)
    }

    /// Hands a row to the producer. What is returned ends when the broker has answered, however long that takes.
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
            traceparent: span
                .in_scope(telemetry::trace::current_traceparent)
                .or_else(|| row.traceparent.clone()),
        };
        let headers = envelope.to_headers().iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let record = FutureRecord::to(&row.topic)
            .partition(partition)
            .key(&row.key)
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

    /// Forgets what is queued or on its way.
    pub(crate) fn purge(&self) {
        self.0.purge(PurgeConfig::default().queue().inflight());
    }

    /// How many partitions a topic has.
    pub(crate) fn partitions(&self, topic: &str) -> Result<u32, KafkaError> {
        let metadata = self.0.client().fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions).count();
        match u32::try_from(partitions) {
            Ok(partitions) if partitions > 0 => Ok(partitions),
            _ => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
        }
    }

    /// Asks the cluster for its metadata: whether a broker answers.
    pub(crate) fn ping(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.0.client().fetch_metadata(None, timeout).map(drop)
    }
}

/// What to do about a failure.
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

/// A producer span in the trace that the event belongs to, however long ago that was.
fn publish_span(row: &Pending) -> Span {
    let span = tracing::info_span!(
        "publish",
        otel.name = format!("publish {}", row.topic),
        otel.kind = "producer",
        { semconv::MESSAGING_SYSTEM } = semconv::KAFKA,
        { semconv::MESSAGING_OPERATION_TYPE } = "send",
        { semconv::MESSAGING_DESTINATION_NAME } = row.topic,
        { semconv::MESSAGING_MESSAGE_ID } = %row.event_id,
        { semconv::MESSAGING_KAFKA_MESSAGE_KEY } = row.key,
        event.type = row.event_type,
    );
    telemetry::trace::set_parent(&span, row.traceparent.as_deref());
    span
}
