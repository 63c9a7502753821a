//! Retention of this library's tables.

use std::time::Duration;

use pg::{Error, Pool, Tx};
use tokio_util::sync::CancellationToken;

use crate::metrics;

const PURGE_KEYS: &str = "\
DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency_keys WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED))";

const PURGE_EVENTS: &str = "\
DELETE FROM processed_events_default WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM processed_events_default
    WHERE processed_at <= now() - make_interval(secs => $2) LIMIT $1 FOR UPDATE SKIP LOCKED))";

/// A table of this library.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// Stored responses; each row knows when it expires.
    IdempotencyKeys,
    /// Processed events whose ids belong to no partition of a day ([`dedup::Partitions`](crate::dedup::Partitions)). Choose the same retention.
    ProcessedEvents {
        /// Age at which a row expires.
        retention: Duration,
    },
}

impl Table {
    /// Deletes expired rows in batches until `stop` ([`pg::run_retention`]).
    pub async fn run_retention(self, pool: Pool, stop: CancellationToken) {
        let pool = &pool;
        pg::run_retention(self.name(), stop, |limit| self.delete_batch(pool, limit)).await;
    }

    async fn delete_batch(self, pool: &Pool, limit: i64) -> Result<u64, Error> {
        let context = (self, limit);
        let rows = pg::run_tx(pool, "purge", &context, |tx, (table, limit)| {
            Box::pin(table.delete_expired(tx, *limit))
        })
        .await?;
        metrics::PURGED.with_label_values(&[self.name()]).inc_by(rows);
        Ok(rows)
    }

    async fn delete_expired(self, tx: &Tx<'_>, limit: i64) -> Result<u64, Error> {
        match self {
            Self::IdempotencyKeys => tx.execute(PURGE_KEYS, &[&limit]).await,
            Self::ProcessedEvents { retention } => {
                tx.execute(PURGE_EVENTS, &[&limit, &retention.as_secs_f64()]).await
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
