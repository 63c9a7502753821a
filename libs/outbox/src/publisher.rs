//! The Kafka side of the relay.

use std::time::{Duration, Instant};

use chrono::Utc;
use events::{Envelope, KafkaConfig};
use futures::future::join_all;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer},
};
use telemetry::semconv;
use tracing::{Instrument, Span};

use crate::{metrics, session::Pending};

/// How long a batch may wait for its acknowledgements before the producer is given up.
const DEADLINE: Duration = Duration::from_secs(10);

/// An idempotent producer. Dropping it purges what it still holds, so that nothing old overtakes what is sent next.
pub(crate) struct Publisher(FutureProducer);

impl Publisher {
    /// Makes a producer; it connects by itself.
    pub(crate) fn new(config: &KafkaConfig) -> Result<Self, KafkaError> {
        ClientConfig::new()
            .set("bootstrap.servers", &config.kafka_bootstrap_servers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // No message gives up before the producer does: one that did would let its successors overtake it.
            .set("message.timeout.ms", "0")
            .set("linger.ms", "2")
            .set("queue.buffering.max.messages", "1000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("socket.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "2000")
            .set("topic.metadata.refresh.interval.ms", "60000")
            .create()
            .map(Self)
    }

    /// Publishes a batch in order and waits for the broker.
    ///
    /// Returns how many of the first rows are acknowledged without a gap, and the failure that ended the row, if any.
    pub(crate) async fn publish(&self, batch: &[Pending]) -> (usize, Option<KafkaError>) {
        let deadline = Instant::now() + DEADLINE;
        let mut deliveries = Vec::with_capacity(batch.len());
        let mut refused = None;
        for row in batch {
            match self.enqueue(row) {
                Ok(delivery) => deliveries.push(acknowledged(delivery, deadline, row)),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let results = join_all(deliveries).await;
        let gapless = results.iter().take_while(|result| result.is_ok()).count();
        let failure = results.into_iter().find_map(Result::err).or(refused);
        metrics::PUBLISHED.inc_by(gapless as u64);
        (gapless, failure)
    }

    fn enqueue(&self, row: &Pending) -> Result<(DeliveryFuture, Span), KafkaError> {
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
        let record = FutureRecord::to(&row.topic).key(&row.key).payload(&row.payload).headers(headers);
        let delivery = self.0.send_result(record).map_err(|(error, _)| error)?;
        Ok((delivery, span))
    }

    /// Asks the cluster for its metadata: whether a broker answers.
    pub(crate) fn ping(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.0.client().fetch_metadata(None, timeout).map(drop)
    }
}

async fn acknowledged(
    (delivery, span): (DeliveryFuture, Span),
    deadline: Instant,
    row: &Pending,
) -> Result<(), KafkaError> {
    let result = async {
        match tokio::time::timeout_at(deadline.into(), delivery).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err((error, _)))) => Err(error),
            Ok(Err(_)) => Err(KafkaError::Canceled),
            Err(_) => Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut)),
        }
    }
    .instrument(span)
    .await;
    if result.is_ok() {
        let delay = (Utc::now() - row.occurred_at).to_std().unwrap_or_default();
        metrics::DELAY.observe(delay.as_secs_f64());
    }
    result
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
