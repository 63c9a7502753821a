#![doc = include_str!("../README.md")]

use std::{future::Future, time::Duration};

use tokio::time::Instant;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs a future whose work has to be done by then, and by the deadline around it, if there is one.
pub async fn scope<F: Future>(at: Instant, future: F) -> F::Output {
    let at = DEADLINE.try_get().map_or(at, |outer| outer.min(at));
    DEADLINE.scope(at, future).await
}

/// Returns how long the current work still has, zero when its deadline has passed; `None` when it has none.
pub fn remaining() -> Option<Duration> {
    let at = DEADLINE.try_get().ok()?;
    Some(at.saturating_duration_since(Instant::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn remaining_is_about(limit: Duration) -> bool {
        remaining().is_some_and(|left| left <= limit && left + MINUTE / 2 > limit)
    }

    #[tokio::test]
    async fn what_remains_ends_at_zero() {
        assert_eq!(remaining(), None);
        scope(Instant::now() + MINUTE, async { assert!(remaining_is_about(MINUTE), "{:?}", remaining()) })
            .await;
        scope(Instant::now(), async { assert_eq!(remaining(), Some(Duration::ZERO)) }).await;
        assert_eq!(remaining(), None);
    }

    #[tokio::test]
    async fn an_inner_deadline_only_shortens() {
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
