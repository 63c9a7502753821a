//! The Kafka producer of the relay.

use std::{mem, sync::Mutex, time::Duration};

use chrono::{DateTime, Utc};
use events::{Envelope, Kafka};
use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{BaseRecord, Producer, ProducerContext, PurgeConfig, ThreadedProducer},
};
use telemetry::{semconv, trace::Propagation};
use tokio::sync::Notify;
use tracing::Span;

use crate::{in_flight, metrics, rows::Pending};

/// Time limit for the metadata of a topic.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

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

/// What the producer keeps with a message.
pub(crate) struct Sent {
    seq: i64,
    occurred_at: DateTime<Utc>,
    /// Ends with the answer.
    _span: Option<Span>,
}

/// The broker's answers, which arrive on a thread of the producer, for the task of the relay. Not more than rows in flight.
#[derive(Default)]
pub(crate) struct Answers {
    deliveries: Mutex<Vec<Delivery>>,
    arrived: Notify,
}

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        if outcome.is_ok() {
            metrics::PUBLISHED.inc();
            let delay = (Utc::now() - sent.occurred_at).to_std().unwrap_or_default();
            metrics::DELAY.observe(delay.as_secs_f64());
        }
        let mut deliveries = self.deliveries.lock().expect("no panic under this lock");
        deliveries.push(Delivery { seq: sent.seq, outcome });
        // The relay takes all at once, so it needs to be woken for the first one only.
        if deliveries.len() == 1 {
            self.arrived.notify_one();
        }
    }
}

pub(crate) struct Publisher(ThreadedProducer<Answers>);

impl Publisher {
    /// Makes a producer; it connects by itself.
    pub(crate) fn new(kafka: &Kafka) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        for (property, value) in kafka.properties() {
            config.set(property, value);
        }
        config
            .set("acks", "all")
            // One row of a key is on its way, so the order needs no sequence numbers, and consumers skip copies. An idempotent producer
            // has reported a row as written that the broker did not have (ADR 0050).
            .set("enable.idempotence", "false")
            .set("max.in.flight.requests.per.connection", "5")
            // No message times out: the relay watches how long a row is on its way.
            .set("message.timeout.ms", "0")
            .set("linger.ms", "2")
            // `InFlight` is the bound. Twice as much, because a message counts until shortly after its acknowledgement.
            .set("queue.buffering.max.messages", (2 * in_flight::ROWS).to_string())
            .set("queue.buffering.max.kbytes", (2 * in_flight::BYTES / 1_024).to_string())
            .set("socket.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "2000")
            .set("topic.metadata.refresh.interval.ms", "60000")
            .create_with_context(Answers::default())
            .map(Self)
    }

    /// Sends a row; the broker's answer is one of the [deliveries](Self::take_deliveries). It has no timeout.
    pub(crate) fn send(&self, row: &Pending, partition: i32) -> Result<(), KafkaError> {
        let span = is_recorded(&row.envelope.propagation).then(|| publish_span(row));
        let headers = match &span {
            Some(span) => {
                let propagation = span.in_scope(Propagation::current).or(&row.envelope.propagation);
                headers(&Envelope { propagation, ..row.envelope.clone() })
            }
            None => headers(&row.envelope),
        };
        let sent = Box::new(Sent { seq: row.seq, occurred_at: row.envelope.occurred_at, _span: span });
        let record = BaseRecord::with_opaque_to(&row.key.topic, sent)
            .partition(partition)
            .key(row.key.key.as_ref())
            .payload(&row.payload)
            .headers(headers);
        self.0.send(record).map_err(|(error, _)| error)
    }

    /// Takes the answers that have arrived.
    pub(crate) fn take_deliveries(&self) -> Vec<Delivery> {
        let mut deliveries = self.0.context().deliveries.lock().expect("no panic under this lock");
        mem::take(&mut *deliveries)
    }

    /// Waits until there are answers; they may have been taken already.
    pub(crate) async fn delivered(&self) {
        self.0.context().arrived.notified().await;
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

fn headers(envelope: &Envelope) -> OwnedHeaders {
    envelope
        .to_headers()
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

/// Whether the trace of the cause is recorded: a flag in `traceparent`, which this library has stored.
fn is_recorded(cause: &Propagation) -> bool {
    let flags = cause.traceparent.as_deref().and_then(|traceparent| traceparent.split('-').nth(3));
    flags.and_then(|flags| u8::from_str_radix(flags, 16).ok()).is_some_and(|flags| flags & 1 == 1)
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
        { semconv::MESSAGING_MESSAGE_ID } = %row.envelope.event_id,
        { semconv::MESSAGING_KAFKA_MESSAGE_KEY } = row.key.key.as_ref(),
        event.type = row.envelope.event_type,
    );
    row.envelope.propagation.set_parent(&span);
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sampled_traceparent_means_that_the_trace_is_recorded() {
        let is_recorded = |traceparent: &str| {
            is_recorded(&Propagation { traceparent: Some(traceparent.to_owned()), ..Propagation::default() })
        };
        assert!(is_recorded("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(!is_recorded("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
        assert!(!is_recorded("malformed"));
        assert!(!super::is_recorded(&Propagation::default()));
    }
}
