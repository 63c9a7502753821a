//! One attempt for one record: the handler with its time limit, its trace span and its metrics, or a dead letter.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::Weak,
    time::{Duration, Instant},
};

use futures::FutureExt;
use rdkafka::{
    Message as _,
    consumer::{Consumer as _, StreamConsumer},
};
use telemetry::semconv;
use tracing::{Instrument, Span};

use crate::{
    client::Context,
    dead_letter::DeadLetters,
    message::{Message, Record},
    metrics,
    partition::Processor,
};

/// The result of handling a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The effect happened, now or in an earlier attempt.
    Done,
    /// A dependency is unavailable. The reason is logged.
    Retry(String),
    /// The message can never be handled. The dead letter contains the reason, so it must not hold personal data.
    DeadLetter(String),
}

/// Handles the messages of a topic.
pub trait Handler: Send + Sync + 'static {
    /// Handles one message.
    ///
    /// The consumer calls it for one message of a key at a time, and for several keys and partitions at once. The future is
    /// dropped at the time limit, at the end of the drain timeout, and when the partition is lost: run work that must not be
    /// cancelled in its own task.
    fn handle(&self, message: &Message) -> impl Future<Output = Outcome> + Send;
}

/// The processor of all partitions of a consumer.
pub(crate) struct Attempts<H> {
    pub(crate) handler: H,
    pub(crate) handler_timeout: Duration,
    pub(crate) group: String,
    pub(crate) dead_letters: DeadLetters,
    /// The client owns the partitions through its context, so they must not keep it alive.
    pub(crate) client: Weak<StreamConsumer<Context>>,
}

impl<H: Handler> Processor for Attempts<H> {
    async fn attempt(&self, record: &Record, attempt: u32) -> Result<(), String> {
        let started = Instant::now();
        let outcome = match record.decode(attempt) {
            Ok(message) => self.handle(&message).instrument(self.span(record, &message)).await,
            Err(error) => Outcome::DeadLetter(error.to_string()),
        };
        metrics::DURATION.with_label_values(&[record.topic()]).observe(started.elapsed().as_secs_f64());
        let label = match &outcome {
            Outcome::Done => "done",
            Outcome::Retry(_) => "retry",
            Outcome::DeadLetter(_) => "dead_letter",
        };
        metrics::HANDLED.with_label_values(&[record.topic(), label]).inc();
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::Retry(reason) => Err(reason),
            Outcome::DeadLetter(reason) => {
                let sent = self.dead_letters.send(record, &reason, attempt).await;
                sent.map_err(|error| format!("the dead-letter topic did not take the message: {error}"))
            }
        }
    }

    fn store_offset(&self, record: &Record, offset: i64) {
        let Some(client) = self.client.upgrade() else { return };
        fail_point::hit("consumer.before_store_offset");
        if let Err(error) = client.store_offset(record.topic(), record.partition(), offset) {
            metrics::LATE_OFFSETS.with_label_values(&[record.topic()]).inc();
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "offset not stored, the partition has another owner"
            );
        }
    }
}

impl<H: Handler> Attempts<H> {
    async fn handle(&self, message: &Message) -> Outcome {
        let limit = self.handler_timeout;
        let handling = AssertUnwindSafe(self.handler.handle(message)).catch_unwind();
        match tokio::time::timeout(limit, handling).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => Outcome::DeadLetter("the handler panicked".to_owned()),
            Err(_elapsed) => Outcome::Retry(format!("the handler took longer than {limit:?}")),
        }
    }

    /// A consumer span in the trace of the event, with its baggage.
    fn span(&self, record: &Record, message: &Message) -> Span {
        let span = tracing::info_span!(
            "process",
            otel.name = format!("process {}", record.topic()),
            otel.kind = "consumer",
            { semconv::MESSAGING_SYSTEM } = semconv::KAFKA,
            { semconv::MESSAGING_OPERATION_TYPE } = "process",
            { semconv::MESSAGING_DESTINATION_NAME } = record.topic(),
            { semconv::MESSAGING_DESTINATION_PARTITION_ID } = record.partition(),
            { semconv::MESSAGING_KAFKA_OFFSET } = record.offset(),
            { semconv::MESSAGING_CONSUMER_GROUP_NAME } = self.group,
            { semconv::MESSAGING_MESSAGE_ID } = %message.envelope.event_id,
            event.type = message.envelope.event_type,
            attempt = message.attempt,
        );
        message.envelope.propagation.set_parent(&span);
        span
    }
}
