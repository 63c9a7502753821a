//! The database session of the one active relay.

use std::{future::Future, time::Duration};

use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use pg::{Columns as _, Error, Pool, Row};
use uuid::Uuid;

/// Chooses the active relay among those of one database; "OUTBOX" on a telephone keypad.
const LOCK: i64 = 688_269;

/// Every statement here is short; one that is not has lost its server.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Rows published together at most.
const BATCH: i64 = 500;

const TRY_LOCK: &str = "SELECT pg_try_advisory_lock($1)";
const NEXT: &str = "\
SELECT seq, event_id, topic, key, event_type, payload, traceparent, occurred_at FROM outbox ORDER BY seq LIMIT $1";
const DELETE: &str = "DELETE FROM outbox WHERE seq = ANY($1)";

/// One row.
pub(crate) struct Pending {
    pub(crate) seq: i64,
    pub(crate) event_id: Uuid,
    pub(crate) topic: String,
    pub(crate) key: String,
    pub(crate) event_type: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) traceparent: Option<String>,
    pub(crate) occurred_at: DateTime<Utc>,
}

/// A session that holds the relay's lock, or waits for it. The lock ends with the session, however that ends.
pub(crate) struct Session(ClientWrapper);

impl Session {
    /// Opens a session that does not hold the lock yet.
    pub(crate) async fn open(pool: &Pool) -> Result<Self, Error> {
        pool.dedicated().await.map(Self)
    }

    /// Tries to become the active relay; `false` while another one is.
    pub(crate) async fn try_lead(&self) -> Result<bool, Error> {
        let row = bounded(self.0.query_one(TRY_LOCK, &[&LOCK])).await?;
        row.column(0)
    }

    /// Returns the oldest rows, in publishing order.
    pub(crate) async fn next(&self) -> Result<Vec<Pending>, Error> {
        let statement = bounded(self.0.prepare_cached(NEXT)).await?;
        bounded(self.0.query(&statement, &[&BATCH])).await?.iter().map(pending).collect()
    }

    /// Removes rows that the broker has.
    pub(crate) async fn delete(&self, seqs: &[i64]) -> Result<(), Error> {
        let statement = bounded(self.0.prepare_cached(DELETE)).await?;
        bounded(self.0.execute(&statement, &[&seqs])).await?;
        Ok(())
    }
}

fn pending(row: &Row) -> Result<Pending, Error> {
    Ok(Pending {
        seq: row.column("seq")?,
        event_id: row.column("event_id")?,
        topic: row.column("topic")?,
        key: row.column("key")?,
        event_type: row.column("event_type")?,
        payload: row.column("payload")?,
        traceparent: row.column("traceparent")?,
        occurred_at: row.column("occurred_at")?,
    })
}

async fn bounded<T, E: Into<Error>>(call: impl Future<Output = Result<T, E>>) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(result) => result.map_err(Into::into),
        Err(elapsed) => Err(Error::Unavailable(Box::new(elapsed))),
    }
}
