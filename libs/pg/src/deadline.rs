//! Deadline propagation: a task-local deadline that shortens the waits of the work inside it.
//!
//! `api_error` opens the scope of a request; [`run_tx`](crate::run_tx()) bounds its waits and statements by it. A scope cancels
//! nothing: the waiting code asks for [`remaining`], and the code that opened the scope drops the future at the deadline.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use crate::error::{Error, Source, source};

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs a future under a deadline. An inner scope only shortens an outer one; a spawned task has no deadline.
pub async fn scope<F: Future>(at: Instant, future: F) -> F::Output {
    let at = DEADLINE.try_get().map_or(at, |outer| outer.min(at));
    DEADLINE.scope(at, future).await
}

/// Returns the time to the deadline of the current task, zero after it; `None` without a deadline.
pub fn remaining() -> Option<Duration> {
    let at = DEADLINE.try_get().ok()?;
    Some(at.saturating_duration_since(Instant::now()))
}

/// The time limit of one wait: the shorter of the configured timeout and the remaining time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeoutBudget {
    pub(crate) limit: Duration,
    /// The deadline is earlier than the configured timeout.
    pub(crate) ends_with_deadline: bool,
}

impl TimeoutBudget {
    pub(crate) fn at_most(configured: Duration) -> Self {
        match remaining() {
            Some(remaining) if remaining < configured => Self { limit: remaining, ends_with_deadline: true },
            _ => Self { limit: configured, ends_with_deadline: false },
        }
    }

    /// The error of a wait that exceeded the limit.
    pub(crate) fn exceeded(self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let cause: Source = source(cause);
        if self.ends_with_deadline { Error::DeadlineExceeded(cause) } else { Error::Unavailable(cause) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn remaining_is_about(limit: Duration) -> bool {
        remaining().is_some_and(|left| left <= limit && left + MINUTE / 2 > limit)
    }

    #[tokio::test]
    async fn the_remaining_time_ends_at_zero() {
        assert_eq!(remaining(), None);
        scope(Instant::now() + MINUTE, async { assert!(remaining_is_about(MINUTE), "{:?}", remaining()) })
            .await;
        scope(Instant::now(), async { assert_eq!(remaining(), Some(Duration::ZERO)) }).await;
        assert_eq!(remaining(), None);
    }

    #[tokio::test]
    async fn an_inner_deadline_only_shortens_the_outer_one() {
        let start = Instant::now();
        scope(start + 2 * MINUTE, async {
            scope(start + 3 * MINUTE, async { assert!(remaining_is_about(2 * MINUTE), "{:?}", remaining()) })
                .await;
            scope(start + MINUTE, async { assert!(remaining_is_about(MINUTE), "{:?}", remaining()) }).await;
            assert!(remaining_is_about(2 * MINUTE), "{:?}", remaining());
        })
        .await;
    }

    #[tokio::test]
    async fn a_spawned_task_has_no_deadline() {
        scope(Instant::now() + MINUTE, async {
            assert_eq!(tokio::spawn(async { remaining() }).await.ok(), Some(None));
        })
        .await;
    }
}
