//! Forgets mails that are too old for their event to come back.

use std::time::Duration;

use pg::{Error, Pool, run_tx};
use tokio_util::sync::CancellationToken;

/// Rows removed in one transaction at most.
const BATCH: i64 = 1_000;

/// Pause once nothing is left to remove, and after a failure.
const IDLE: Duration = Duration::from_mins(1);

const PURGE_MAILS: &str = "\
-- purge_mails()
DELETE FROM mails WHERE event_id = ANY(ARRAY(
    SELECT event_id FROM mails
    WHERE first_attempt_at <= now() - make_interval(secs => $2) LIMIT $1 FOR UPDATE SKIP LOCKED))";

/// Purges `mails` until `stop`; a failure is logged and tried again later, for nothing depends on a purge.
pub(crate) async fn keep_purged(pool: Pool, retention: Duration, stop: CancellationToken) {
    loop {
        let pause = match purge_batch(&pool, retention).await {
            Ok(rows) if rows == BATCH.unsigned_abs() => Duration::from_millis(100),
            Ok(_) => IDLE,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, table = "mails", "purge failed");
                IDLE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn purge_batch(pool: &Pool, retention: Duration) -> Result<u64, Error> {
    run_tx(pool, "purge_mails", &retention.as_secs_f64(), |tx, seconds| {
        Box::pin(async move { tx.execute(PURGE_MAILS, &[&BATCH, seconds]).await })
    })
    .await
}
