//! Circuit breaker of a consumer: when a dependency fails for several keys in a row, one attempt at a time tries it again.

use std::{
    collections::HashSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::metrics;

/// Keys that fail in a row, without a success between them, before the circuit opens. More than one, so that the failure of a single
/// message does not slow down the others.
const KEYS: usize = 5;

/// Pauses between the attempts of an open circuit: from 100 ms to 10 s, jitter included, without end.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(5))
    .without_max_times()
    .with_jitter();

/// The state of the dependencies of a handler, as its attempts show it.
pub(crate) struct Circuit {
    topic: String,
    state: Mutex<State>,
    /// The one attempt of an open circuit.
    probe: Semaphore,
}

enum State {
    Closed { failed: HashSet<Option<Vec<u8>>> },
    Open { pauses: ExponentialBackoff, next: Instant },
}

/// The permission for one attempt.
pub(crate) struct Pass<'a> {
    circuit: &'a Circuit,
    /// Of the one attempt of an open circuit.
    probe: Option<SemaphorePermit<'a>>,
}

impl Circuit {
    pub(crate) fn new(topic: &str) -> Self {
        metrics::CIRCUIT_OPEN.with_label_values(&[topic]).set(0);
        let state = Mutex::new(State::Closed { failed: HashSet::new() });
        Self { topic: topic.to_owned(), state, probe: Semaphore::new(1) }
    }

    /// Waits while the circuit is open: for the turn of this attempt and for the end of the pause.
    pub(crate) async fn admit(&self) -> Pass<'_> {
        if self.pause().is_none() {
            return Pass { circuit: self, probe: None };
        }
        let probe = self.probe.acquire().await.expect("the semaphore is never closed");
        match self.pause() {
            None => Pass { circuit: self, probe: None },
            Some(pause) => {
                tokio::time::sleep(pause).await;
                Pass { circuit: self, probe: Some(probe) }
            }
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.pause().is_some()
    }

    /// The pause before the next attempt; `None` while the circuit is closed.
    fn pause(&self) -> Option<Duration> {
        match &*self.state.lock().expect("no panic under this lock") {
            State::Closed { .. } => None,
            State::Open { next, .. } => Some(next.saturating_duration_since(Instant::now())),
        }
    }
}

impl Pass<'_> {
    /// The dependencies answered.
    pub(crate) fn succeeded(&self) {
        let mut state = self.circuit.state.lock().expect("no panic under this lock");
        if let State::Open { .. } = &*state {
            metrics::CIRCUIT_OPEN.with_label_values(&[&self.circuit.topic]).set(0);
            tracing::info!(topic = self.circuit.topic, "the dependency answers again, all attempts continue");
        }
        *state = State::Closed { failed: HashSet::new() };
    }

    /// A dependency failed for a message with this key. Attempts from before the circuit opened do not lengthen its pause.
    pub(crate) fn failed(&self, key: Option<&[u8]>) {
        let mut state = self.circuit.state.lock().expect("no panic under this lock");
        match &mut *state {
            State::Closed { failed } => {
                failed.insert(key.map(<[u8]>::to_vec));
                if failed.len() >= KEYS {
                    metrics::CIRCUIT_OPEN.with_label_values(&[&self.circuit.topic]).set(1);
                    tracing::warn!(
                        topic = self.circuit.topic,
                        "a dependency fails for several keys, one attempt at a time"
                    );
                    *state = State::Open { pauses: BACKOFF.build(), next: Instant::now() };
                }
            }
            State::Open { pauses, next } if self.probe.is_some() => {
                *next = Instant::now() + pauses.next().unwrap_or_default();
            }
            State::Open { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fail(circuit: &Circuit, keys: std::ops::Range<u8>) {
        for key in keys {
            circuit.admit().await.failed(Some(&[key]));
        }
    }

    #[tokio::test]
    async fn one_key_that_fails_repeatedly_does_not_open_the_circuit() {
        let circuit = Circuit::new("one-key");
        for _ in 0..20 {
            circuit.admit().await.failed(Some(b"a"));
        }
        assert!(!circuit.is_open());
    }

    #[tokio::test]
    async fn a_success_between_failures_keeps_the_circuit_closed() {
        let circuit = Circuit::new("mixed");
        fail(&circuit, 0..4).await;
        circuit.admit().await.succeeded();
        fail(&circuit, 4..8).await;
        assert!(!circuit.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_admits_one_attempt_at_a_time_until_one_succeeds() {
        let circuit = Circuit::new("down");
        fail(&circuit, 0..5).await;
        assert!(circuit.is_open());
        let probe = circuit.admit().await;
        let second = tokio::time::timeout(Duration::from_mins(1), circuit.admit()).await;
        assert!(second.is_err(), "two attempts at a time");
        probe.succeeded();
        drop(probe);
        let (_first, _second) = (circuit.admit().await, circuit.admit().await);
        assert!(!circuit.is_open());
    }

    #[tokio::test]
    async fn late_failures_of_earlier_attempts_do_not_lengthen_the_pause() {
        let circuit = Circuit::new("late");
        let late = circuit.admit().await;
        fail(&circuit, 0..5).await;
        late.failed(Some(b"late"));
        assert_eq!(circuit.pause(), Some(Duration::ZERO));
        circuit.admit().await.failed(Some(b"probe"));
        assert!(circuit.pause() > Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_attempt_lets_the_next_one_try() {
        let circuit = Circuit::new("dropped");
        fail(&circuit, 0..5).await;
        drop(circuit.admit().await);
        let next = tokio::time::timeout(Duration::from_mins(1), circuit.admit()).await;
        assert!(next.is_ok());
    }
}
