//! Retention: deletes expired rows in small batches, so that no purge is a long transaction.

use std::{error::Error as StdError, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::Error;

/// Rows deleted in one transaction at most.
const BATCH: u32 = 1_000;

/// Pause after a full batch.
const BETWEEN_BATCHES: Duration = Duration::from_millis(100);

/// Pause after a batch that was not full, and after a failure.
const IDLE: Duration = Duration::from_mins(1);

/// Deletes expired rows of `table` until `stop`.
///
/// `delete_batch` gets the limit for its DELETE statement and returns the number of deleted rows. A failure is logged and
/// tried again after a minute, because no request depends on a purge.
pub async fn run_retention<F>(table: &str, stop: CancellationToken, delete_batch: impl Fn(i64) -> F)
where
    F: Future<Output = Result<u64, Error>>,
{
    loop {
        let pause = match delete_batch(BATCH.into()).await {
            Ok(rows) if rows == u64::from(BATCH) => BETWEEN_BATCHES,
            Ok(_) => IDLE,
            Err(error) => {
                tracing::warn!(error = &error as &dyn StdError, table, "purge failed");
                IDLE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
