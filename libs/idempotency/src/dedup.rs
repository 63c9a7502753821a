//! Deduplication of events: the effect and the fact that it happened are one transaction.

use pg::{Error, Migration, Tx};
use uuid::Uuid;

use crate::metrics;

/// The schema of this module, under the name `dedup`.
pub const MIGRATIONS: &[Migration] =
    &[("V1__create_processed_events", include_str!("../migrations/dedup/V1__create_processed_events.sql"))];

const INSERT: &str =
    "INSERT INTO processed_events (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const EXISTS: &str = "SELECT 1 FROM processed_events WHERE consumer = $1 AND event_id = $2";

/// Records that `consumer` takes the effect of this event in this transaction.
///
/// Returns `false` when the effect is there already: the caller then does nothing. A concurrent transaction with the
/// same event is waited for, up to the lock timeout.
pub async fn record(tx: &Tx<'_>, consumer: &str, event_id: Uuid) -> Result<bool, Error> {
    let first = tx.execute(INSERT, &[&consumer, &event_id]).await? == 1;
    if !first {
        metrics::DEDUP_HITS.with_label_values(&[consumer]).inc();
    }
    Ok(first)
}

/// Whether the effect of this event is committed; for effects outside the database, which must be asked before.
pub async fn seen(tx: &Tx<'_>, consumer: &str, event_id: Uuid) -> Result<bool, Error> {
    let seen = tx.query_opt(EXISTS, &[&consumer, &event_id]).await?.is_some();
    if seen {
        metrics::DEDUP_HITS.with_label_values(&[consumer]).inc();
    }
    Ok(seen)
}
