//! Calls of the registry at start-up, repeated until it answers.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};

use crate::RegistryError;

/// Pauses before another attempt: from 100 ms to 6 s, jitter included, without end. A program that does not know whether its
/// schemas are compatible cannot work.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(3))
    .with_jitter()
    .without_max_times();

/// Repeats a call until it succeeds or has an error that is not `transient`.
pub(crate) async fn until_available<T, F>(
    call: impl FnMut() -> F,
    transient: impl FnMut(&RegistryError) -> bool,
) -> Result<T, RegistryError>
where
    F: Future<Output = Result<T, RegistryError>>,
{
    call.retry(BACKOFF)
        .when(transient)
        .notify(|error, pause| {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, ?pause, "the schema registry does not answer, trying again");
        })
        .await
}
