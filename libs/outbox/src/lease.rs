//! Leases of buckets: which relay publishes which keys.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use pg::{Columns as _, Error, Row};

use crate::session::{LOCK, Session};

/// The number of buckets.
pub(crate) const BUCKETS: usize = 16;

/// Length of a lease: the buckets of a frozen relay are taken over after it.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// Interval of renewals, and of attempts to acquire more buckets.
pub(crate) const RENEW: Duration = Duration::from_secs(1);

/// Counts the relays that renewed within the length of a lease and whose session holds the lock, this one included.
const JOIN: &str = "\
WITH this AS (
    INSERT INTO outbox_relay (session, alive_until)
    VALUES (pg_backend_pid(), clock_timestamp() + make_interval(secs => $1))
    ON CONFLICT (session) DO UPDATE SET alive_until = excluded.alive_until),
gone AS (DELETE FROM outbox_relay WHERE alive_until < clock_timestamp() - interval '1 hour')
SELECT 1 + count(*) FROM outbox_relay
WHERE session <> pg_backend_pid() AND alive_until > clock_timestamp() AND EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 0 AND objid::bigint = $2 AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid = session)";

/// Acquires buckets whose lease has expired, or whose owner's session, which held the lock, has ended. A position ahead of the
/// sequence is of another database, for example after a restore without the sequence: all rows are published again.
const CLAIM: &str = "\
WITH free AS MATERIALIZED (
    SELECT bucket FROM outbox_bucket
    WHERE lease_until IS NULL OR lease_until <= clock_timestamp() OR NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND classid = 0 AND objid::bigint = $2 AND objsubid = 1 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid = session)
    ORDER BY bucket LIMIT $3 FOR UPDATE SKIP LOCKED)
UPDATE outbox_bucket b
SET fence = fence + 1, session = pg_backend_pid(), lease_until = clock_timestamp() + make_interval(secs => $1),
    published_up_to = CASE WHEN published_up_to > upper THEN 0 ELSE published_up_to END,
    newest_published = CASE WHEN published_up_to > upper THEN NULL ELSE newest_published END,
    read_up_to = 0, n_unpublished = 0
FROM free, outbox_horizon() WHERE b.bucket = free.bucket
RETURNING b.bucket, b.fence, b.published_up_to";

const RENEWAL: &str = "\
UPDATE outbox_bucket b
SET published_up_to = held.position, read_up_to = held.read_up_to, n_unpublished = held.n_unpublished,
    newest_published = greatest(b.newest_published, held.newest), lease_until = clock_timestamp() + make_interval(secs => $7)
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[])
    AS held (bucket, fence, position, read_up_to, n_unpublished, newest)
WHERE b.bucket = held.bucket AND b.fence = held.fence
RETURNING b.bucket";

const RELEASE: &str = "\
UPDATE outbox_bucket b SET published_up_to = held.position, read_up_to = held.read_up_to, n_unpublished = held.n_unpublished,
    newest_published = greatest(b.newest_published, held.newest), lease_until = NULL
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[])
    AS held (bucket, fence, position, read_up_to, n_unpublished, newest)
WHERE b.bucket = held.bucket AND b.fence = held.fence";

const LEAVE: &str = "DELETE FROM outbox_relay WHERE session = pg_backend_pid()";

/// A bucket under this relay's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) bucket: i16,
    /// The fencing token.
    pub(crate) fence: i64,
    /// Every row up to this seq is published or parked.
    pub(crate) position: i64,
}

/// How far a bucket under this relay's lease has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) held: Held,
    /// The rows of the bucket up to this seq were read.
    pub(crate) read_up_to: i64,
    /// Of those, the rows that are neither published nor parked.
    pub(crate) n_unpublished: i64,
    /// `inserted_at` of the newest row that this relay has published.
    pub(crate) newest: Option<DateTime<Utc>>,
}

/// Buckets as columns, for `unnest`.
#[derive(Default)]
struct Columns {
    buckets: Vec<i16>,
    fences: Vec<i64>,
    positions: Vec<i64>,
    read_up_to: Vec<i64>,
    n_unpublished: Vec<i64>,
    newest: Vec<Option<DateTime<Utc>>>,
}

fn columns(progress: &[Progress]) -> Columns {
    let mut columns = Columns::default();
    for Progress { held, read_up_to, n_unpublished, newest } in progress {
        columns.buckets.push(held.bucket);
        columns.fences.push(held.fence);
        columns.positions.push(held.position);
        columns.read_up_to.push(*read_up_to);
        columns.n_unpublished.push(*n_unpublished);
        columns.newest.push(*newest);
    }
    columns
}

impl Session {
    /// Announces this relay; returns the number of buckets that it may hold.
    pub(crate) async fn join(&self) -> Result<usize, Error> {
        let relays: i64 = match self.query(JOIN, &[&LEASE.as_secs_f64(), &LOCK]).await?.first() {
            Some(row) => row.column(0)?,
            None => 1,
        };
        Ok(BUCKETS.div_ceil(usize::try_from(relays).unwrap_or(1)))
    }

    /// Acquires up to `limit` free buckets.
    pub(crate) async fn claim(&self, limit: usize) -> Result<Vec<Held>, Error> {
        let limit = i64::try_from(limit).unwrap_or(0);
        self.query(CLAIM, &[&LEASE.as_secs_f64(), &LOCK, &limit]).await?.iter().map(held).collect()
    }

    /// Writes the positions and renews the leases; returns the buckets that this relay still holds.
    pub(crate) async fn renew(&mut self, progress: &[Progress]) -> Result<Vec<i16>, Error> {
        let before = Instant::now();
        let Columns { buckets, fences, positions, read_up_to, n_unpublished, newest } = columns(progress);
        let lease = LEASE.as_secs_f64();
        let rows = self
            .query(RENEWAL, &[&buckets, &fences, &positions, &read_up_to, &n_unpublished, &newest, &lease])
            .await?;
        self.renewed = before;
        rows.iter().map(|row| row.column("bucket")).collect()
    }

    /// Whether no lease can have expired. Detects a freeze of this process without a query.
    pub(crate) fn holds_leases(&self) -> bool {
        self.renewed.elapsed() < LEASE
    }

    /// Writes the positions and gives the buckets back.
    pub(crate) async fn release(&self, progress: &[Progress]) -> Result<(), Error> {
        let Columns { buckets, fences, positions, read_up_to, n_unpublished, newest } = columns(progress);
        self.execute(RELEASE, &[&buckets, &fences, &positions, &read_up_to, &n_unpublished, &newest]).await?;
        self.notify().await
    }

    /// Ends the membership, so that the others may hold more.
    pub(crate) async fn leave(&self) -> Result<(), Error> {
        self.execute(LEAVE, &[]).await.map(drop)
    }
}

fn held(row: &Row) -> Result<Held, Error> {
    Ok(Held {
        bucket: row.column("bucket")?,
        fence: row.column("fence")?,
        position: row.column("published_up_to")?,
    })
}
