//! The database session of a relay: its lease with a fencing token, and the rows of the outbox.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use pg::{Columns as _, Error, Pool, Row};
use telemetry::trace::Propagation;
use uuid::Uuid;

/// Shared by the relays of this release; the previous release takes it exclusively, so the two never publish together.
/// "OUTBOX" on a telephone keypad.
const LOCK: i64 = 688_269;

/// Length of the lease: a frozen relay is replaced after it.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// Interval of renewals.
pub(crate) const RENEW: Duration = Duration::from_secs(1);

/// Time limit of each statement.
const TIMEOUT: Duration = Duration::from_secs(3);

const TRY_LOCK: &str = "SELECT pg_try_advisory_lock_shared($1)";

/// Acquires the lease when it has expired, or when the session of its holder, which held the lock, has ended.
const LEAD: &str = "\
UPDATE outbox_lease
SET fence = fence + 1, session = pg_backend_pid(), lease_until = clock_timestamp() + make_interval(secs => $1)
WHERE lease_until IS NULL OR lease_until <= clock_timestamp() OR NOT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 0 AND objid::bigint = $2 AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid = session)
RETURNING fence";

const RENEWAL: &str = "\
UPDATE outbox_lease SET lease_until = clock_timestamp() + make_interval(secs => $2) WHERE fence = $1";

const RELEASE: &str = "UPDATE outbox_lease SET lease_until = NULL WHERE fence = $1";

/// A crash of the server may lose the last writes of this session: a lost deletion repeats a publication, and a renewal or a parked
/// row is repeated too.
const RELAXED: &str = "SET synchronous_commit = off";

/// One snapshot, so the first row of a key here is the first of all. NOT IN uses a hash table even when the planner has no
/// statistics of a table that is nearly always empty.
const HEADS: &str = "\
SELECT seq, topic, key,
    octet_length(payload) + coalesce(octet_length(tracestate), 0) + coalesce(octet_length(baggage), 0) AS content_len
FROM outbox
WHERE (topic, key) NOT IN (SELECT topic, key FROM outbox_parked)
    AND EXISTS (SELECT FROM outbox_lease WHERE fence = $2 AND lease_until > clock_timestamp())
ORDER BY seq LIMIT $1";

const ROWS: &str = "\
SELECT seq, event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at FROM outbox
WHERE seq = ANY($1) AND EXISTS (SELECT FROM outbox_lease WHERE fence = $2 AND lease_until > clock_timestamp())
ORDER BY seq";

const DELETE: &str = "\
DELETE FROM outbox WHERE seq = ANY($1) AND EXISTS (SELECT FROM outbox_lease WHERE fence = $2)";

const PARK: &str = "\
WITH refused AS (
    DELETE FROM outbox WHERE seq = $1 AND EXISTS (SELECT FROM outbox_lease WHERE fence = $2) RETURNING *)
INSERT INTO outbox_parked
    (seq, event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at, inserted_at, reason)
SELECT seq, event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at, inserted_at, $3
FROM refused
RETURNING event_id, event_type";

/// A session that holds the lease or waits for it.
pub(crate) struct Session {
    client: ClientWrapper,
    /// The fencing token; -1 before the lease.
    fence: i64,
    renewed: Instant,
}

impl Session {
    pub(crate) async fn open(pool: &Pool) -> Result<Self, Error> {
        Ok(Self { client: pool.dedicated().await?, fence: -1, renewed: Instant::now() })
    }

    /// Takes the shared lock; `false` while a relay of the previous release is active.
    pub(crate) async fn try_lock(&self) -> Result<bool, Error> {
        bounded(self.client.query_one(TRY_LOCK, &[&LOCK])).await?.column(0)
    }

    /// Tries to acquire the lease; `false` while another relay has it.
    pub(crate) async fn try_acquire(&mut self) -> Result<bool, Error> {
        let before = Instant::now();
        let led = bounded(self.client.query_opt(LEAD, &[&LEASE.as_secs_f64(), &LOCK])).await?;
        let Some(row) = led else { return Ok(false) };
        (self.fence, self.renewed) = (row.column(0)?, before);
        bounded(self.client.batch_execute(RELAXED)).await?;
        Ok(true)
    }

    /// Whether the lease cannot have expired. Detects a freeze of this process without a query.
    pub(crate) fn holds_lease(&self) -> bool {
        self.renewed.elapsed() < LEASE
    }

    /// Renews the lease when due; `false` when another relay has it.
    pub(crate) async fn renew_lease(&mut self) -> Result<bool, Error> {
        if self.renewed.elapsed() < RENEW {
            return Ok(true);
        }
        let before = Instant::now();
        let statement = bounded(self.client.prepare_cached(RENEWAL)).await?;
        let renewed =
            bounded(self.client.execute(&statement, &[&self.fence, &LEASE.as_secs_f64()])).await? == 1;
        if renewed {
            self.renewed = before;
        }
        Ok(renewed)
    }

    pub(crate) async fn release_lease(&self) -> Result<(), Error> {
        bounded(self.client.execute(RELEASE, &[&self.fence])).await?;
        Ok(())
    }

    /// Returns the oldest rows without a parked row of their key, in publishing order; none without the lease.
    pub(crate) async fn heads(&self, limit: usize) -> Result<Vec<Head>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let statement = bounded(self.client.prepare_cached(HEADS)).await?;
        bounded(self.client.query(&statement, &[&limit, &self.fence])).await?.iter().map(head).collect()
    }

    /// Returns the existing rows of these, in publishing order; none without the lease.
    pub(crate) async fn rows(&self, seqs: &[i64]) -> Result<Vec<Pending>, Error> {
        let statement = bounded(self.client.prepare_cached(ROWS)).await?;
        bounded(self.client.query(&statement, &[&seqs, &self.fence])).await?.iter().map(pending).collect()
    }

    /// Deletes acknowledged rows, unless the lease is lost.
    pub(crate) async fn delete(&self, seqs: &[i64]) -> Result<(), Error> {
        if seqs.is_empty() {
            return Ok(());
        }
        let statement = bounded(self.client.prepare_cached(DELETE)).await?;
        bounded(self.client.execute(&statement, &[&seqs, &self.fence])).await?;
        fail_point::hit("outbox.deleted");
        Ok(())
    }

    /// Parks a row that the broker refuses; returns the event's id and type, or `None` without the lease.
    pub(crate) async fn park(&self, seq: i64, reason: &str) -> Result<Option<(Uuid, String)>, Error> {
        let statement = bounded(self.client.prepare_cached(PARK)).await?;
        let parked = bounded(self.client.query_opt(&statement, &[&seq, &self.fence, &reason])).await?;
        parked.map(|row| Ok((row.column("event_id")?, row.column("event_type")?))).transpose()
    }
}

/// Upper bound of the producer's memory for a record beside key, payload, `tracestate` and baggage.
const OVERHEAD: usize = 1_024;

/// The unit of order: the events of one aggregate in one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) topic: String,
    pub(crate) key: String,
}

/// A row without its payload.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) seq: i64,
    pub(crate) key: Key,
    /// Bytes of payload, `tracestate` and baggage.
    pub(crate) content_len: usize,
}

impl Head {
    /// The size of the row in the producer's queue.
    pub(crate) fn bytes(&self) -> usize {
        self.content_len + self.key.key.len() + OVERHEAD
    }
}

/// A row to send.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) seq: i64,
    pub(crate) event_id: Uuid,
    pub(crate) topic: String,
    pub(crate) key: String,
    pub(crate) event_type: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) propagation: Propagation,
    pub(crate) occurred_at: DateTime<Utc>,
}

fn head(row: &Row) -> Result<Head, Error> {
    let content_len: i32 = row.column("content_len")?;
    Ok(Head {
        seq: row.column("seq")?,
        key: Key { topic: row.column("topic")?, key: row.column("key")? },
        content_len: content_len.unsigned_abs() as usize,
    })
}

fn pending(row: &Row) -> Result<Pending, Error> {
    Ok(Pending {
        seq: row.column("seq")?,
        event_id: row.column("event_id")?,
        topic: row.column("topic")?,
        key: row.column("key")?,
        event_type: row.column("event_type")?,
        payload: row.column("payload")?,
        propagation: Propagation {
            traceparent: row.column("traceparent")?,
            tracestate: row.column("tracestate")?,
            baggage: row.column("baggage")?,
        },
        occurred_at: row.column("occurred_at")?,
    })
}

async fn bounded<T, E: Into<Error>>(call: impl Future<Output = Result<T, E>>) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(result) => result.map_err(Into::into),
        Err(elapsed) => Err(Error::Unavailable(Arc::new(elapsed))),
    }
}
