//! One record: attempts until the outcome is final.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::FutureExt;
use telemetry::semconv;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::{Handler, Message, Outcome, message::Received, metrics, partition::Shared};

const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Handles a message until its outcome is final. Returns `false` when told to stop before that. Each attempt takes one of
/// `handlers`; a pause between attempts takes none, so keys that wait do not hold up the others.
pub(crate) async fn settle<H: Handler>(
    shared: &Shared<H>,
    received: &Received,
    handlers: &Semaphore,
    stop: &CancellationToken,
) -> bool {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let permit = tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            permit = handlers.acquire() => permit.expect("the semaphore is never closed"),
        };
        let outcome = attempt_once(shared, received, attempt).await;
        let reason = match outcome {
            Outcome::Done => return true,
            Outcome::Retry(reason) => reason,
            Outcome::DeadLetter(reason) => match shared.dead_letters.send(received, &reason, attempt).await {
                Ok(()) => return true,
                Err(error) => format!("the dead-letter topic did not take the message: {error}"),
            },
        };
        drop(permit);
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
