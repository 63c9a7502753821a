//! The database session of a relay, and the lead that it holds or waits for.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_postgres::ClientWrapper;
use pg::{Columns as _, Error, Pool, Row};
use uuid::Uuid;

use crate::row::{Head, Key, Pending};

/// Shared by the relays of this release; the release before took it alone, so that the two kinds never publish together.
/// "OUTBOX" on a telephone keypad.
const LOCK: i64 = 688_269;

/// How long the lead lasts unless it is renewed: as long as nobody notices that its holder is frozen.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// How often it is renewed.
pub(crate) const RENEW: Duration = Duration::from_secs(1);

/// Every statement here is short; one that is not has lost its server.
const TIMEOUT: Duration = Duration::from_secs(3);

const TRY_LOCK: &str = "SELECT pg_try_advisory_lock_shared($1)";

/// Takes the lead when its time is over, or when the session of its holder, which held the lock, has ended.
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

const GIVE_BACK: &str = "UPDATE outbox_lease SET lease_until = NULL WHERE fence = $1";

/// What the session does from here on may be lost with the server: a deletion is then only a repeated publication. A renewal or a
/// parked row is repeated, too.
const RELAXED: &str = "SET synchronous_commit = off";

/// One snapshot, so that whoever is first of its key here is first of all. NOT IN, because it is looked up in a hash table
/// whatever the planner believes about a table that is nearly always empty.
const HEADS: &str = "\
SELECT seq, topic, key, octet_length(payload) AS payload_len FROM outbox
WHERE (topic, key) NOT IN (SELECT topic, key FROM outbox_parked)
    AND EXISTS (SELECT FROM outbox_lease WHERE fence = $2 AND lease_until > clock_timestamp())
ORDER BY seq LIMIT $1";

const ROWS: &str = "\
SELECT seq, event_id, topic, key, event_type, payload, traceparent, occurred_at FROM outbox
WHERE seq = ANY($1) AND EXISTS (SELECT FROM outbox_lease WHERE fence = $2 AND lease_until > clock_timestamp())
ORDER BY seq";

const DELETE: &str = "\
DELETE FROM outbox WHERE seq = ANY($1) AND EXISTS (SELECT FROM outbox_lease WHERE fence = $2)";

const PARK: &str = "\
WITH refused AS (
    DELETE FROM outbox WHERE seq = $1 AND EXISTS (SELECT FROM outbox_lease WHERE fence = $2) RETURNING *)
INSERT INTO outbox_parked
    (seq, event_id, topic, key, event_type, payload, traceparent, occurred_at, inserted_at, reason)
SELECT seq, event_id, topic, key, event_type, payload, traceparent, occurred_at, inserted_at, $3 FROM refused
RETURNING event_id, event_type";

/// A session that leads, or waits for the lead. What it knows of the lead is in its fence.
pub(crate) struct Session {
    client: ClientWrapper,
    /// No lease has this one before it leads.
    fence: i64,
    renewed: Instant,
}

impl Session {
    /// Opens a session that does not lead yet.
    pub(crate) async fn open(pool: &Pool) -> Result<Self, Error> {
        Ok(Self { client: pool.dedicated().await?, fence: -1, renewed: Instant::now() })
    }

    /// Waits for relays of the release before to be gone; `false` while one is active.
    pub(crate) async fn try_lock(&self) -> Result<bool, Error> {
        bounded(self.client.query_one(TRY_LOCK, &[&LOCK])).await?.column(0)
    }

    /// Tries to become the active relay; `false` while another one is.
    pub(crate) async fn try_lead(&mut self) -> Result<bool, Error> {
        let asked = Instant::now();
        let led = bounded(self.client.query_opt(LEAD, &[&LEASE.as_secs_f64(), &LOCK])).await?;
        let Some(row) = led else { return Ok(false) };
        (self.fence, self.renewed) = (row.column(0)?, asked);
        bounded(self.client.batch_execute(RELAXED)).await?;
        Ok(true)
    }

    /// Whether the lead has surely not ended. After a freeze of this process it has, before the database was asked.
    pub(crate) fn leads(&self) -> bool {
        self.renewed.elapsed() < LEASE
    }

    /// Renews the lead when that is due. `false` when another relay has it.
    pub(crate) async fn keep_lead(&mut self) -> Result<bool, Error> {
        if self.renewed.elapsed() < RENEW {
            return Ok(true);
        }
        let asked = Instant::now();
        let statement = bounded(self.client.prepare_cached(RENEWAL)).await?;
        let renewed =
            bounded(self.client.execute(&statement, &[&self.fence, &LEASE.as_secs_f64()])).await? == 1;
        if renewed {
            self.renewed = asked;
        }
        Ok(renewed)
    }

    /// Lets the next relay lead without waiting for the end of the lease.
    pub(crate) async fn give_back(&self) -> Result<(), Error> {
        bounded(self.client.execute(GIVE_BACK, &[&self.fence])).await?;
        Ok(())
    }

    /// Returns the oldest rows that no parked one holds up, in publishing order; none when the lead is lost.
    pub(crate) async fn heads(&self, limit: usize) -> Result<Vec<Head>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let statement = bounded(self.client.prepare_cached(HEADS)).await?;
        bounded(self.client.query(&statement, &[&limit, &self.fence])).await?.iter().map(head).collect()
    }

    /// Returns those of these rows that are still there, in publishing order; none when the lead is lost.
    pub(crate) async fn rows(&self, seqs: &[i64]) -> Result<Vec<Pending>, Error> {
        let statement = bounded(self.client.prepare_cached(ROWS)).await?;
        bounded(self.client.query(&statement, &[&seqs, &self.fence])).await?.iter().map(pending).collect()
    }

    /// Removes rows that the broker has, unless the lead is lost.
    pub(crate) async fn delete(&self, seqs: &[i64]) -> Result<(), Error> {
        if seqs.is_empty() {
            return Ok(());
        }
        let statement = bounded(self.client.prepare_cached(DELETE)).await?;
        bounded(self.client.execute(&statement, &[&seqs, &self.fence])).await?;
        Ok(())
    }

    /// Sets a row aside that the broker refuses; returns the event's id and type, or nothing when the lead is lost.
    pub(crate) async fn park(&self, seq: i64, reason: &str) -> Result<Option<(Uuid, String)>, Error> {
        let statement = bounded(self.client.prepare_cached(PARK)).await?;
        let parked = bounded(self.client.query_opt(&statement, &[&seq, &self.fence, &reason])).await?;
        parked.map(|row| Ok((row.column("event_id")?, row.column("event_type")?))).transpose()
    }
}

fn head(row: &Row) -> Result<Head, Error> {
    let payload_len: i32 = row.column("payload_len")?;
    Ok(Head {
        seq: row.column("seq")?,
        key: Key { topic: row.column("topic")?, key: row.column("key")? },
        payload_len: payload_len.unsigned_abs() as usize,
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
        traceparent: row.column("traceparent")?,
        occurred_at: row.column("occurred_at")?,
    })
}

async fn bounded<T, E: Into<Error>>(call: impl Future<Output = Result<T, E>>) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(result) => result.map_err(Into::into),
        Err(elapsed) => Err(Error::Unavailable(Arc::new(elapsed))),
    }
}
