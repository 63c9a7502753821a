//! The Kafka side of the relay.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use chrono::Utc;
use events::{Envelope, Kafka};
use futures::future::join_all;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer, PurgeConfig},
};
use telemetry::semconv;
use tracing::{Instrument, Span};

use crate::{metrics, session::Pending};

/// How long a batch may wait for its acknowledgements before the producer is given up.
const DEADLINE: Duration = Duration::from_secs(10);

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
    /// Returns the sequence numbers of the rows that are done, and the first failure. A row is done when it is acknowledged
    /// and no earlier one of its key failed; keys do not wait for each other.
    pub(crate) async fn publish(&self, batch: &[Pending]) -> (Vec<i64>, Option<KafkaError>) {
        let deadline = Instant::now() + DEADLINE;
        let mut deliveries = Vec::with_capacity(batch.len());
        let mut refused = None;
        for row in batch {
            match self.enqueue(row) {
                Ok(delivery) => deliveries.push(acknowledged(delivery, deadline, row)),
                // Room comes with the acknowledgements of what is queued; the rest is the next batch's.
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) if !deliveries.is_empty() => {
                    break;
                }
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let results = join_all(deliveries).await;
        let done = done(batch, &results);
        metrics::PUBLISHED.inc_by(done.len() as u64);
        (done, results.into_iter().find_map(Result::err).or(refused))
    }

    /// Forgets what is queued or on its way, so that it cannot overtake what another producer sends next.
    pub(crate) fn purge(&self) {
        self.0.purge(PurgeConfig::default().queue().inflight());
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

fn done(batch: &[Pending], results: &[Result<(), KafkaError>]) -> Vec<i64> {
    let mut held_back = HashSet::new();
    let mut done = Vec::with_capacity(results.len());
    for (row, result) in batch.iter().zip(results) {
        if result.is_err() {
            held_back.insert(row.key.as_str());
        } else if !held_back.contains(row.key.as_str()) {
            done.push(row.seq);
        }
    }
    done
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: i64, key: &str) -> Pending {
        Pending {
            seq,
            event_id: uuid::Uuid::now_v7(),
            topic: "t".to_owned(),
            key: key.to_owned(),
            event_type: "e".to_owned(),
            payload: Vec::new(),
            traceparent: None,
            occurred_at: Utc::now(),
        }
    }

    #[test]
    fn a_failure_holds_back_its_key_and_no_other() {
        let batch = [row(1, "a"), row(2, "b"), row(3, "a"), row(4, "b"), row(5, "c")];
        let failed = || Err(KafkaError::Canceled);
        assert_eq!(done(&batch, &[Ok(()), failed(), Ok(()), Ok(())]), [1, 3], "the fifth was not sent");
        assert_eq!(done(&batch, &[failed(), Ok(()), Ok(()), Ok(()), Ok(())]), [2, 4, 5]);
    }
}
