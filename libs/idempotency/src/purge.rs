//! Removes rows whose retention is over, a few at a time, so that no purge is ever a long transaction.

use std::time::Duration;

use pg::{Error, Pool, Tx};
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// Rows removed in one transaction at most.
const BATCH: i64 = 1_000;

/// Pause between looks at the table once nothing is left to remove.
const IDLE: Duration = Duration::from_mins(1);

const PURGE_KEYS: &str = "\
DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency_keys WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED))";

const PURGE_EVENTS: &str = "\
DELETE FROM processed_events WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM processed_events
    WHERE processed_at <= now() - make_interval(secs => $2) LIMIT $1 FOR UPDATE SKIP LOCKED))";

/// A table that this library keeps and purges.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// Stored responses; each row knows when it expires.
    IdempotencyKeys,
    /// Processed events, kept for this long. Longer than a message can come back: topic retention plus dead letters.
    ProcessedEvents {
        /// How long a row is kept.
        retention: Duration,
    },
}

impl Table {
    /// Purges the table until `stop`; a failure is logged and tried again later, for nothing depends on a purge.
    pub async fn keep_purged(self, pool: Pool, stop: CancellationToken) {
        loop {
            let pause = match self.purge_batch(&pool).await {
                Ok(rows) if rows == BATCH.unsigned_abs() => Duration::from_millis(100),
                Ok(_) => IDLE,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        table = self.name(),
                        "purge failed"
                    );
                    IDLE
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn purge_batch(self, pool: &Pool) -> Result<u64, Error> {
        let rows = pg::run_tx(pool, "purge", &self, |tx, table| Box::pin(table.delete_expired(tx))).await?;
        metrics::PURGED.with_label_values(&[self.name()]).inc_by(rows);
        Ok(rows)
    }

    async fn delete_expired(&self, tx: &Tx<'_>) -> Result<u64, Error> {
        match self {
            Self::IdempotencyKeys => tx.execute(PURGE_KEYS, &[&BATCH]).await,
            Self::ProcessedEvents { retention } => {
                tx.execute(PURGE_EVENTS, &[&BATCH, &retention.as_secs_f64()]).await
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::IdempotencyKeys => "idempotency_keys",
            Self::ProcessedEvents { .. } => "processed_events",
        }
    }
}
