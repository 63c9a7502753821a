//! One attempt for one record: the handler with its time limit, its trace span and its metrics, and what follows from its outcome.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use telemetry::semconv;
use tracing::{Instrument as _, Span};

use crate::{
    assignment::Assignment,
    circuit::{Circuit, Pass},
    client::Context,
    dead_letter::DeadLetters,
    event::{Event, Message, Record},
    lines::Lines,
    metrics,
    partition::Processor,
    postponed::{Place, Postponed},
    retry::Retries,
    source::Source,
};

/// The code of a message without a valid envelope.
const MALFORMED_ENVELOPE: &str = "malformed_envelope";

/// The code of a message at which the handler panicked.
const HANDLER_PANICKED: &str = "handler_panicked";

/// The code of a message that failed again after its last retry.
const RETRIES_EXHAUSTED: &str = "retries_exhausted";

/// The codes of every consumer.
pub(crate) const OWN_CODES: [&str; 3] = [MALFORMED_ENVELOPE, HANDLER_PANICKED, RETRIES_EXHAUSTED];

/// The result of handling a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The effect happened, now or in an earlier attempt. The dependencies answered.
    Done,
    /// The message needs no effect, so no dependency was asked. Counts as done.
    Ignored,
    /// A dependency is down, for every message. The reason is logged.
    Unavailable(String),
    /// Another attempt has the message, or had it until its process died. The reason is logged.
    Busy(String),
    /// This message fails for now, and others do not. The reason is logged, and is in the dead letter after the last retry.
    Retry(String),
    /// The message can never be handled. The dead letter contains code and reason, so they must not hold personal data.
    DeadLetter {
        /// One of [`Handler::DEAD_LETTER_CODES`].
        code: &'static str,
        /// For people.
        reason: String,
    },
}

/// Handles the messages of a topic.
pub trait Handler: Send + Sync + 'static {
    /// The codes of its dead letters: few, because each is a label of a metric.
    const DEAD_LETTER_CODES: &'static [&'static str] = &[];

    /// Handles one message.
    ///
    /// The consumer calls it for one message of a key at a time, and for several keys and partitions at once. The future is
    /// dropped at the time limit, at the end of the drain timeout, and when the partition is lost: run work that must not be
    /// cancelled in its own task.
    fn handle(&self, message: &Message) -> impl Future<Output = Outcome> + Send;
}

/// What the attempts of all partitions share.
pub(crate) struct Attempts<H> {
    pub(crate) handler: H,
    pub(crate) handler_timeout: Duration,
    pub(crate) postponed: Postponed,
    pub(crate) retries: Retries,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) circuit: Circuit,
    /// Weak, because it owns the partitions, whose tasks own this.
    pub(crate) assignment: Weak<Assignment>,
    /// Weak for the same reason.
    pub(crate) client: Weak<StreamConsumer<Context>>,
}

/// The attempts of one partition.
pub(crate) struct PartitionAttempts<H> {
    shared: Arc<Attempts<H>>,
    source: Source,
    /// `None` for a partition of a retry topic: its events are the first of their lines.
    lines: Option<Lines>,
}

impl<H: Handler> PartitionAttempts<H> {
    pub(crate) fn new(shared: &Arc<Attempts<H>>, source: &Source, is_retry: bool) -> Self {
        let lines = (!is_retry).then(|| Lines::new(&source.topic, source.partition));
        Self { shared: Arc::clone(shared), source: source.clone(), lines }
    }
}

impl<H: Handler> Processor for PartitionAttempts<H> {
    async fn wait_until_due(&self, record: &Record) {
        tokio::time::sleep(record.delay(self.shared.retries.longest_delay())).await;
    }

    async fn admit(&self) -> Pass<'_> {
        self.shared.circuit.admit().await
    }

    async fn attempt(&self, record: &Record, attempt: u32, pass: &Pass<'_>) -> Result<(), String> {
        let (shared, event) = (&self.shared, &record.event);
        let Some(lines) = &self.lines else { return shared.handle_line(event, attempt, pass).await };
        let is_late = || shared.is_counted(&self.source, record.offset);
        match lines.join(&shared.postponed, event, is_late()).await.map_err(|error| unavailable(&error))? {
            Some(Place::Behind) => Ok(()),
            // Its copy in the retry topic may be missing, because the process died before it was sent.
            Some(Place::First) => shared.send_again(event).await,
            None => match shared.handle(event, attempt, pass).await? {
                Handled::Finished => Ok(()),
                Handled::Failed(reason) => {
                    lines.begin(&shared.postponed, event).await.map_err(|error| unavailable(&error))?;
                    shared.postpone(event, attempt, &reason, is_late()).await.map(drop)
                }
            },
        }
    }

    fn store_offset(&self, offset: i64) {
        let Some(client) = self.shared.client.upgrade() else { return };
        let Source { topic, partition } = &self.source;
        fail_point::hit("consumer.before_store_offset");
        if let Err(error) = client.store_offset(topic, *partition, offset) {
            metrics::LATE_OFFSETS.with_label_values(&[&**topic]).inc();
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "offset not stored, the partition has another owner"
            );
        }
    }
}

/// The end of an attempt that is not made again in place.
enum Handled {
    Finished,
    /// The message failed for now, for this reason.
    Failed(String),
}

impl<H: Handler> Attempts<H> {
    /// Handles the first event of a line and then the others, until one is postponed.
    async fn handle_line(&self, first: &Event, attempt: u32, pass: &Pass<'_>) -> Result<(), String> {
        let mut event = first.clone();
        loop {
            if let Handled::Failed(reason) = self.handle(&event, attempt, pass).await?
                // An event without a row is a replayed dead letter, which was counted before.
                && self.postpone(&event, attempt, &reason, true).await?
            {
                return Ok(());
            }
            fail_point::hit("consumer.line_event_handled");
            match self.postponed.finish(&event).await.map_err(|error| unavailable(&error))? {
                Some(next) => event = next,
                None => return Ok(()),
            }
        }
    }

    /// Whether the record was counted as due.
    fn is_counted(&self, source: &Source, offset: i64) -> bool {
        self.assignment.upgrade().is_some_and(|assignment| assignment.is_counted(source, offset))
    }

    /// Calls the handler; `Err` is the reason for another attempt in place.
    async fn handle(&self, event: &Event, attempt: u32, pass: &Pass<'_>) -> Result<Handled, String> {
        let topic = event.origin.topic.as_str();
        let started = Instant::now();
        let outcome = match event.decode(attempt) {
            Ok(message) => self.call(&message).instrument(self.span(event, &message)).await,
            Err(error) => Outcome::DeadLetter { code: MALFORMED_ENVELOPE, reason: error.to_string() },
        };
        metrics::DURATION.with_label_values(&[topic]).observe(started.elapsed().as_secs_f64());
        metrics::HANDLED.with_label_values(&[topic, label(&outcome)]).inc();
        match &outcome {
            Outcome::Done | Outcome::Retry(_) => pass.succeeded(),
            Outcome::Unavailable(_) => pass.failed(event.key.as_deref()),
            // Possible without an answer of a dependency.
            Outcome::Ignored | Outcome::Busy(_) | Outcome::DeadLetter { .. } => {}
        }
        match outcome {
            Outcome::Done | Outcome::Ignored => Ok(Handled::Finished),
            Outcome::Unavailable(reason) | Outcome::Busy(reason) => Err(reason),
            Outcome::Retry(reason) => Ok(Handled::Failed(reason)),
            Outcome::DeadLetter { code, reason } => {
                self.give_up(event, code, &reason, attempt).await?;
                Ok(Handled::Finished)
            }
        }
    }

    async fn call(&self, message: &Message) -> Outcome {
        let limit = self.handler_timeout;
        let handling = AssertUnwindSafe(self.handler.handle(message)).catch_unwind();
        match tokio::time::timeout(limit, handling).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => {
                Outcome::DeadLetter { code: HANDLER_PANICKED, reason: "the handler panicked".to_owned() }
            }
            Err(_elapsed) => Outcome::Unavailable(format!("the handler took longer than {limit:?}")),
        }
    }

    /// Sends the event to its next retry topic, or gives it up after the last one. Returns whether it is postponed.
    async fn postpone(
        &self,
        event: &Event,
        attempt: u32,
        reason: &str,
        is_late: bool,
    ) -> Result<bool, String> {
        let Some(retry) = self.retries.after(event.retries) else {
            self.give_up(event, RETRIES_EXHAUSTED, reason, attempt).await?;
            return Ok(false);
        };
        let retries = event.retries + 1;
        let place = self.postponed.add(event, retries, retry.delay, is_late).await;
        fail_point::hit("consumer.postponed");
        if place.map_err(|error| unavailable(&error))? == Place::First {
            self.retries
                .send(retry, event, retries)
                .await
                .map_err(|error| not_taken(&retry.topic, &error))?;
        }
        tracing::warn!(
            reason,
            attempt,
            retries,
            delay = ?retry.delay,
            topic = event.origin.topic,
            partition = event.origin.partition,
            offset = event.origin.offset,
            "message postponed"
        );
        Ok(true)
    }

    /// Sends a postponed event to its retry topic once more.
    pub(crate) async fn send_again(&self, event: &Event) -> Result<(), String> {
        let number = event.retries.saturating_sub(1);
        let Some(retry) = self.retries.after(number).or(self.retries.topics.last()) else { return Ok(()) };
        let sent = self.retries.send(retry, event, number + 1).await;
        sent.map_err(|error| not_taken(&retry.topic, &error))
    }

    async fn give_up(
        &self,
        event: &Event,
        code: &'static str,
        reason: &str,
        attempt: u32,
    ) -> Result<(), String> {
        let sent = self.dead_letters.send(event, code, reason, attempt).await;
        sent.map_err(|error| not_taken("the dead-letter topic", &error))
    }

    /// A consumer span in the trace of the event, with its baggage.
    fn span(&self, event: &Event, message: &Message) -> Span {
        let origin = &event.origin;
        let span = tracing::info_span!(
            "process",
            otel.name = format!("process {}", origin.topic),
            otel.kind = "consumer",
            { semconv::MESSAGING_SYSTEM } = semconv::KAFKA,
            { semconv::MESSAGING_OPERATION_TYPE } = "process",
            { semconv::MESSAGING_DESTINATION_NAME } = origin.topic,
            { semconv::MESSAGING_DESTINATION_PARTITION_ID } = origin.partition,
            { semconv::MESSAGING_KAFKA_OFFSET } = origin.offset,
            { semconv::MESSAGING_CONSUMER_GROUP_NAME } = self.postponed.group,
            { semconv::MESSAGING_MESSAGE_ID } = %message.envelope.event_id,
            event.type = message.envelope.event_type,
            attempt = message.attempt,
        );
        message.envelope.propagation.set_parent(&span);
        span
    }
}

fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done | Outcome::Ignored => "done",
        Outcome::Unavailable(_) => "unavailable",
        Outcome::Busy(_) => "busy",
        Outcome::Retry(_) => "retry",
        Outcome::DeadLetter { .. } => "dead_letter",
    }
}

fn unavailable(error: &pg::Error) -> String {
    format!("the table of postponed events is unavailable: {error}")
}

fn not_taken(topic: &str, error: &rdkafka::error::KafkaError) -> String {
    format!("{topic} did not take the message: {error}")
}
