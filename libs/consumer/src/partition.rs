//! One partition: a bounded queue, and a task that handles its messages one after the other.

use std::{
    error::Error as StdError,
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use futures::FutureExt;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use telemetry::semconv;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::{
    Handler, Message, Outcome, Settings, context::Context, dead_letter::DeadLetters, message::Received,
    metrics,
};

/// Messages in a queue at which its partition is paused; at half of that it resumes.
pub(crate) const HIGH_WATER: usize = 128;

/// The queue's size. Nothing arrives after a pause, so one more than [`HIGH_WATER`] would do.
const CAPACITY: usize = 2 * HIGH_WATER;

const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// What the tasks of all partitions share.
pub(crate) struct Shared<H> {
    pub(crate) settings: Settings,
    pub(crate) handler: H,
    pub(crate) dead_letters: DeadLetters,
    /// The consumer owns the partitions through its context, so they must not keep it alive.
    pub(crate) consumer: Weak<StreamConsumer<Context>>,
    /// Told when a queue has become half empty.
    pub(crate) drained: Arc<Notify>,
}

/// The receiving end's view of a partition.
pub(crate) struct Partition {
    queue: mpsc::Sender<Received>,
    stop: CancellationToken,
    ending: Stopping,
    pub(crate) paused: bool,
}

/// A partition that was told to end after the message in hand.
pub(crate) struct Stopping {
    abandon: CancellationToken,
    finished: oneshot::Receiver<()>,
}

impl Stopping {
    /// Waits until the deadline, and then ends the work on the message in hand wherever it is. Returns whether it had
    /// finished by itself.
    pub(crate) async fn finish_by(self, deadline: Instant) -> bool {
        // The sender is dropped, never used: an error is how a task says that it has finished.
        let in_time = tokio::time::timeout_at(deadline.into(), self.finished).await.is_ok();
        self.abandon.cancel();
        in_time
    }
}

impl Partition {
    /// Starts the task of a partition that was just assigned.
    pub(crate) fn start<H: Handler>(shared: Arc<Shared<H>>) -> Self {
        let (queue, messages) = mpsc::channel(CAPACITY);
        let (finish, finished) = oneshot::channel();
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let task = run(shared, messages, stop.clone(), abandon.clone()).map(move |()| drop(finish));
        telemetry::task::spawn("partition", task);
        Self { queue, stop, ending: Stopping { abandon, finished }, paused: false }
    }

    /// Where its messages go. Sending waits only if the partition could not be paused in time.
    pub(crate) fn queue(&self) -> mpsc::Sender<Received> {
        self.queue.clone()
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Tells the task to end after the message in hand.
    pub(crate) fn stop(self) -> Stopping {
        self.stop.cancel();
        self.ending
    }
}

async fn run<H: Handler>(
    shared: Arc<Shared<H>>,
    mut messages: mpsc::Receiver<Received>,
    stop: CancellationToken,
    abandon: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            message = messages.recv() => message,
        };
        let Some(message) = message else { return };
        let settled = tokio::select! {
            biased;
            () = abandon.cancelled() => return,
            settled = settle(&shared, &message, &stop) => settled,
        };
        if !settled {
            return;
        }
        store_offset(&shared, &message);
        if messages.len() == HIGH_WATER / 2 {
            shared.drained.notify_one();
        }
    }
}

/// Handles a message until its outcome is final. Returns `false` when told to stop before that.
async fn settle<H: Handler>(shared: &Shared<H>, received: &Received, stop: &CancellationToken) -> bool {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let outcome = attempt_once(shared, received, attempt).await;
        let reason = match outcome {
            Outcome::Done => return true,
            Outcome::Retry(reason) => reason,
            Outcome::DeadLetter(reason) => match shared.dead_letters.send(received, &reason, attempt).await {
                Ok(()) => return true,
                Err(error) => format!("the dead-letter topic did not take the message: {error}"),
            },
        };
        let pause = pause_before_retry(attempt);
        tracing::warn!(
            reason,
            attempt,
            ?pause,
            partition = received.partition(),
            offset = received.offset(),
            "message not handled, trying again"
        );
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn attempt_once<H: Handler>(shared: &Shared<H>, received: &Received, attempt: u32) -> Outcome {
    let topic = received.topic();
    let started = Instant::now();
    let outcome = match received.open() {
        Ok(message) => {
            let message = Message { attempt, ..message };
            let span = process_span(received, &message, &shared.settings.group);
            handle(shared, &message).instrument(span).await
        }
        Err(error) => Outcome::DeadLetter(error.to_string()),
    };
    metrics::DURATION.with_label_values(&[topic]).observe(started.elapsed().as_secs_f64());
    let label = match &outcome {
        Outcome::Done => "done",
        Outcome::Retry(_) => "retry",
        Outcome::DeadLetter(_) => "dead_letter",
    };
    metrics::HANDLED.with_label_values(&[topic, label]).inc();
    outcome
}

async fn handle<H: Handler>(shared: &Shared<H>, message: &Message) -> Outcome {
    let limit = shared.settings.handler_timeout;
    let handling = AssertUnwindSafe(shared.handler.handle(message)).catch_unwind();
    match tokio::time::timeout(limit, handling).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => Outcome::DeadLetter("the handler panicked".to_owned()),
        Err(_elapsed) => Outcome::Retry(format!("the handler took longer than {limit:?}")),
    }
}

fn store_offset<H>(shared: &Shared<H>, message: &Received) {
    let Some(consumer) = shared.consumer.upgrade() else { return };
    fail_point::hit("consumer.before_store_offset");
    if let Err(error) = consumer.store_offset(message.topic(), message.partition(), message.offset()) {
        metrics::LATE_OFFSETS.with_label_values(&[message.topic()]).inc();
        tracing::debug!(
            error = &error as &dyn StdError,
            "offset not stored, the partition has another owner"
        );
    }
}

/// A consumer span in the trace that the event belongs to.
fn process_span(received: &Received, message: &Message, group: &str) -> Span {
    let span = tracing::info_span!(
        "process",
        otel.name = format!("process {}", received.topic()),
        otel.kind = "consumer",
        { semconv::MESSAGING_SYSTEM } = semconv::KAFKA,
        { semconv::MESSAGING_OPERATION_TYPE } = "process",
        { semconv::MESSAGING_DESTINATION_NAME } = received.topic(),
        { semconv::MESSAGING_DESTINATION_PARTITION_ID } = received.partition(),
        { semconv::MESSAGING_KAFKA_OFFSET } = received.offset(),
        { semconv::MESSAGING_CONSUMER_GROUP_NAME } = group,
        { semconv::MESSAGING_MESSAGE_ID } = %message.envelope.event_id,
        event.type = message.envelope.event_type,
        attempt = message.attempt,
    );
    telemetry::trace::set_parent(&span, message.envelope.traceparent.as_deref());
    span
}

/// Full jitter below an exponential bound.
fn pause_before_retry(attempt: u32) -> Duration {
    let bound = MIN_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(MAX_PAUSE);
    rand::random_range(MIN_PAUSE / 2..=bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for attempt in 1..100 {
            let pause = pause_before_retry(attempt);
            assert!((MIN_PAUSE / 2..=MAX_PAUSE).contains(&pause), "{attempt}: {pause:?}");
        }
    }
}
