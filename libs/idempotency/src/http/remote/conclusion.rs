//! The end of an attempt: its response is stored, or its record is deleted, or the operation continues later.

use std::{sync::atomic::Ordering, time::Duration};

use api_error::ApiError;
use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::{Attempt, Finished, store};
use crate::http::{Response, store::run_settled};

/// Pauses before another attempt: below 1, 2, 4 s and so on, up to 1 min, jitter included.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(500))
    .with_max_delay(Duration::from_secs(30))
    .without_max_times()
    .with_jitter();

impl Attempt {
    /// Ends the attempt in the table; returns the metric label and the response.
    pub(super) async fn conclude(
        &self,
        result: Result<Finished, ApiError>,
    ) -> (&'static str, Result<Response, ApiError>) {
        let error = match result {
            Ok(Finished(response)) => return ("finished", Ok(response)),
            Err(error) => error,
        };
        if self.lost.load(Ordering::Relaxed) {
            return self.conclude_lost(error);
        }
        if self.forget().await {
            return ("forgotten", Err(error));
        }
        match Response::refusal(error) {
            Err(passing) => {
                let pause = self.pause();
                if !self.release(pause, &passing).await {
                    return self.conclude_lost(self.lost());
                }
                (
                    "failed",
                    Err(if passing.code().retryable() { passing.with_retry_after(pause) } else { passing }),
                )
            }
            Ok(refusal) => {
                let finished =
                    self.finish(&refusal, |_, refusal| Box::pin(async move { Ok(refusal.clone()) })).await;
                ("refused", finished.map(|Finished(response)| response))
            }
        }
    }

    fn conclude_lost(&self, error: ApiError) -> (&'static str, Result<Response, ApiError>) {
        tracing::warn!(operation = self.operation, fence = self.claim.fence, "attempt lost its claim");
        ("lost", Err(error))
    }

    /// Deletes the record if no step was begun. After a failure of the database a takeover continues.
    async fn forget(&self) -> bool {
        let forgotten = run_settled(&self.pool, "idempotency_forget", self, |tx, attempt| {
            Box::pin(store::forget(tx, &attempt.claim))
        });
        forgotten.await.unwrap_or(false)
    }

    /// Lets the next attempt start after a pause; `false` when another one has started. After a failure of the database the
    /// next one starts at the end of the lease.
    async fn release(&self, pause: Duration, error: &ApiError) -> bool {
        tracing::warn!(
            operation = self.operation,
            attempt = self.claim.attempts,
            pause_ms = pause.as_millis(),
            error = error as &dyn std::error::Error,
            "attempt failed, the operation continues later"
        );
        let work = (self, pause);
        let released = pg::run_tx(&self.pool, "idempotency_hand_back", &work, |tx, (attempt, pause)| {
            Box::pin(store::lease(tx, &attempt.claim, *pause))
        });
        released.await.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an operation waits for the end of its lease"
            );
            true
        })
    }

    /// The backoff continues over processes: the table counts the attempts.
    fn pause(&self) -> Duration {
        let earlier = self.claim.attempts.clamp(1, 10).unsigned_abs() - 1;
        BACKOFF.build().nth(earlier as usize).unwrap_or_default()
    }
}
