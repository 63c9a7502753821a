//! Deduplication of events: one transaction contains the effect and the record of the event.
//!
//! Event ids are UUIDs of version 7, so an id says on which day its event happened, and a table of ids has a partition for each day.

mod partitions;

pub use partitions::Partitions;
use pg::{Error, Migration, Tx};
use uuid::Uuid;

use crate::metrics;

/// The schema of this module, under the name `dedup`.
pub const MIGRATIONS: &[Migration] = &[
    ("V1__create_processed_events", include_str!("../migrations/dedup/V1__create_processed_events.sql")),
    ("V2__partition_by_day", include_str!("../migrations/dedup/V2__partition_by_day.sql")),
];

const INSERT: &str =
    "INSERT INTO processed_events (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const EXISTS: &str = "SELECT 1 FROM processed_events WHERE consumer = $1 AND event_id = $2";

/// Records that `consumer` handles this event in this transaction.
///
/// Returns `false` when the event was handled before: the caller then does nothing. Waits for a concurrent transaction with
/// the same event, up to the lock timeout.
pub async fn record(tx: &Tx<'_>, consumer: &str, event_id: Uuid) -> Result<bool, Error> {
    let first = tx.execute(INSERT, &[&consumer, &event_id]).await? == 1;
    if !first {
        metrics::DEDUP_HITS.with_label_values(&[consumer]).inc();
    }
    Ok(first)
}

/// Whether this event was handled: call it before an effect outside the database.
pub async fn seen(tx: &Tx<'_>, consumer: &str, event_id: Uuid) -> Result<bool, Error> {
    let seen = tx.query_opt(EXISTS, &[&consumer, &event_id]).await?.is_some();
    if seen {
        metrics::DEDUP_HITS.with_label_values(&[consumer]).inc();
    }
    Ok(seen)
}
