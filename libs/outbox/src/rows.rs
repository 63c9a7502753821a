//! The statements that read and park rows. Each carries the fences of the relay's buckets, so a relay that lost one does neither.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use events::Envelope;
use pg::{Columns as _, Error, Row};
use telemetry::trace::Propagation;
use uuid::Uuid;

use crate::session::Session;

const HORIZON: &str = "SELECT upper, writers FROM outbox_horizon()";

/// One snapshot, so the first row of a key here is the first of all. LATERAL with LIMIT has each bucket read by the primary key. Small
/// rows come whole: to read them again when they are chosen would cost more than their memory.
const HEADS: &str = "\
SELECT o.*, held.bucket
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS held (bucket, fence, after, n_rows)
JOIN outbox_bucket b ON b.bucket = held.bucket AND b.fence = held.fence
CROSS JOIN LATERAL (
    SELECT seq, topic, key, inserted_at, content_len, content_len <= $5 AS is_whole, event_id, event_type,
        CASE WHEN content_len <= $5 THEN payload END AS payload, traceparent,
        CASE WHEN content_len <= $5 THEN tracestate END AS tracestate,
        CASE WHEN content_len <= $5 THEN baggage END AS baggage, occurred_at
    FROM outbox, LATERAL (
        SELECT octet_length(payload) + coalesce(octet_length(tracestate), 0) + coalesce(octet_length(baggage), 0)) AS size (content_len)
    WHERE bucket = held.bucket AND seq > held.after ORDER BY seq LIMIT held.n_rows) o";

/// The buckets of these that this relay still has.
const STILL_HELD: &str = "\
SELECT count(*) FROM unnest($1::smallint[], $2::bigint[]) AS held (bucket, fence)
JOIN outbox_bucket b ON b.bucket = held.bucket AND b.fence = held.fence";

const ROWS: &str = "\
SELECT o.*
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::timestamptz[]) AS chosen (bucket, fence, seq, inserted_at)
JOIN outbox_bucket b ON b.bucket = chosen.bucket AND b.fence = chosen.fence
CROSS JOIN LATERAL (
    SELECT seq, event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at FROM outbox
    WHERE bucket = chosen.bucket AND seq = chosen.seq AND inserted_at = chosen.inserted_at LIMIT 1) o";

/// Copies rows of keys that have parked rows. A row that is there already stays as it is.
const PARK: &str = "\
INSERT INTO outbox_parked
    (seq, event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at, inserted_at, refused, reason)
SELECT o.*, false, 'waits for an earlier event of its key'
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::timestamptz[]) AS chosen (bucket, fence, seq, inserted_at)
JOIN outbox_bucket b ON b.bucket = chosen.bucket AND b.fence = chosen.fence
CROSS JOIN LATERAL (
    SELECT seq, event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at, inserted_at FROM outbox
    WHERE bucket = chosen.bucket AND seq = chosen.seq AND inserted_at = chosen.inserted_at LIMIT 1) o
ON CONFLICT DO NOTHING";

const REFUSE: &str = "\
UPDATE outbox_parked p SET refused = true, parked_at = clock_timestamp(), reason = $3
FROM outbox_bucket b
WHERE p.seq = $1 AND NOT p.refused AND b.bucket = p.bucket AND b.fence = $2
RETURNING p.event_id, p.event_type";

/// The keys with parked rows.
const PARKED_KEYS: &str = "SELECT DISTINCT topic, key FROM outbox_parked WHERE bucket = ANY($1)";

/// Parked rows that wait for no refused one.
const READY: &str = "\
SELECT p.seq, p.bucket, p.topic, p.key, p.inserted_at,
    octet_length(p.payload) + coalesce(octet_length(p.tracestate), 0) + coalesce(octet_length(p.baggage), 0) AS content_len
FROM outbox_parked p
WHERE p.bucket = ANY($1) AND NOT EXISTS (
    SELECT FROM outbox_parked r WHERE r.topic = p.topic AND r.key = p.key AND r.refused AND r.seq <= p.seq)
ORDER BY p.seq LIMIT $2";

const PARKED_ROWS: &str = "\
SELECT p.seq, p.event_id, p.topic, p.key, p.event_type, p.payload, p.traceparent, p.tracestate, p.baggage, p.occurred_at
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS chosen (bucket, fence, seq)
JOIN outbox_bucket b ON b.bucket = chosen.bucket AND b.fence = chosen.fence
JOIN outbox_parked p ON p.seq = chosen.seq";

const UNPARK: &str = "\
DELETE FROM outbox_parked p USING unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS done (bucket, fence, seq), outbox_bucket b
WHERE p.seq = done.seq AND b.bucket = done.bucket AND b.fence = done.fence";

/// Upper bound of the producer's memory for a record beside key, payload, `tracestate` and baggage.
const OVERHEAD: usize = 1_024;

/// Rows with at most this content, in bytes, come whole with their heads.
const SMALL: i32 = 2_048;

/// The unit of order: the events of one aggregate in one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) topic: Arc<str>,
    pub(crate) key: Arc<str>,
}

/// A row to publish.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) seq: i64,
    pub(crate) bucket: i16,
    pub(crate) key: Key,
    /// Bytes of payload, `tracestate` and baggage.
    pub(crate) content_len: usize,
    /// Finds the partition of the table.
    pub(crate) inserted_at: DateTime<Utc>,
    /// The whole row, if it is small and was not sent before.
    pub(crate) row: Option<Pending>,
}

impl Head {
    /// The size of the row in the producer's queue.
    pub(crate) fn bytes(&self) -> usize {
        self.content_len + self.key.key.len() + OVERHEAD
    }
}

/// A row to send.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) seq: i64,
    pub(crate) key: Key,
    pub(crate) payload: Vec<u8>,
    pub(crate) envelope: Envelope,
}

/// What a transaction can still commit: rows above `upper`, and, if it is one of `writers`, rows up to it.
#[derive(Debug, Default)]
pub(crate) struct Horizon {
    pub(crate) upper: i64,
    pub(crate) writers: HashSet<String>,
}

/// Which rows of a bucket to read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) bucket: i16,
    pub(crate) fence: i64,
    pub(crate) after: i64,
    pub(crate) limit: usize,
}

/// A row of a bucket, with the fence of the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bucket: i16,
    pub(crate) fence: i64,
    pub(crate) seq: i64,
    pub(crate) inserted_at: DateTime<Utc>,
}

/// Places as columns, for `unnest`.
struct Columns {
    buckets: Vec<i16>,
    fences: Vec<i64>,
    seqs: Vec<i64>,
    times: Vec<DateTime<Utc>>,
}

fn columns(places: &[Place]) -> Columns {
    Columns {
        buckets: places.iter().map(|place| place.bucket).collect(),
        fences: places.iter().map(|place| place.fence).collect(),
        seqs: places.iter().map(|place| place.seq).collect(),
        times: places.iter().map(|place| place.inserted_at).collect(),
    }
}

impl Session {
    pub(crate) async fn horizon(&self) -> Result<Horizon, Error> {
        let rows = self.query(HORIZON, &[]).await?;
        let Some(row) = rows.first() else { return Ok(Horizon::default()) };
        let writers: Vec<String> = row.column("writers")?;
        Ok(Horizon { upper: row.column("upper")?, writers: writers.into_iter().collect() })
    }

    /// Returns the first rows of each range, in the order of their seqs within a bucket; small rows whole, if `with_rows`.
    pub(crate) async fn heads(&self, ranges: &[Range], with_rows: bool) -> Result<Vec<Head>, Error> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let buckets: Vec<i16> = ranges.iter().map(|range| range.bucket).collect();
        let fences: Vec<i64> = ranges.iter().map(|range| range.fence).collect();
        let after: Vec<i64> = ranges.iter().map(|range| range.after).collect();
        let limit = |range: &Range| i64::try_from(range.limit).unwrap_or(i64::MAX);
        let limits: Vec<i64> = ranges.iter().map(limit).collect();
        let small = if with_rows { SMALL } else { -1 };
        let rows = self.query(HEADS, &[&buckets, &fences, &after, &limits, &small]).await?;
        let head = |row| {
            let head = head(row)?;
            let is_whole = row.column("is_whole")?;
            let row = if is_whole { Some(pending(row, head.key.clone())?) } else { None };
            Ok(Head { row, ..head })
        };
        rows.iter().map(head).collect()
    }

    /// Whether no other relay has one of these buckets.
    pub(crate) async fn still_holds(&self, (buckets, fences): (Vec<i16>, Vec<i64>)) -> Result<bool, Error> {
        let rows = self.query(STILL_HELD, &[&buckets, &fences]).await?;
        let n_held: i64 = rows.first().map_or(Ok(0), |row| row.column(0))?;
        Ok(usize::try_from(n_held) == Ok(buckets.len()))
    }

    /// Returns these rows, in any order.
    pub(crate) async fn rows(&self, places: &[Place]) -> Result<Vec<Pending>, Error> {
        let Columns { buckets, fences, seqs, times } = columns(places);
        self.query(ROWS, &[&buckets, &fences, &seqs, &times]).await?.iter().map(chosen).collect()
    }

    /// Copies these rows to the parked ones.
    pub(crate) async fn park(&self, places: &[Place]) -> Result<(), Error> {
        let Columns { buckets, fences, seqs, times } = columns(places);
        self.execute(PARK, &[&buckets, &fences, &seqs, &times]).await.map(drop)
    }

    /// Marks a parked row as refused; returns the event's id and type, or `None` if it was or the bucket is lost.
    pub(crate) async fn refuse(&self, place: Place, reason: &str) -> Result<Option<(Uuid, String)>, Error> {
        let rows = self.query(REFUSE, &[&place.seq, &place.fence, &reason]).await?;
        rows.first().map(|row| Ok((row.column("event_id")?, row.column("event_type")?))).transpose()
    }

    /// Returns the keys with parked rows.
    pub(crate) async fn parked_keys(&self, buckets: &[i16]) -> Result<HashSet<Key>, Error> {
        self.query(PARKED_KEYS, &[&buckets]).await?.iter().map(key).collect()
    }

    /// Returns the first parked rows that wait for no refused one.
    pub(crate) async fn ready(&self, buckets: &[i16], limit: i64) -> Result<Vec<Head>, Error> {
        self.query(READY, &[&buckets, &limit]).await?.iter().map(head).collect()
    }

    /// Returns these parked rows, in any order.
    pub(crate) async fn parked_rows(&self, places: &[Place]) -> Result<Vec<Pending>, Error> {
        let Columns { buckets, fences, seqs, .. } = columns(places);
        self.query(PARKED_ROWS, &[&buckets, &fences, &seqs]).await?.iter().map(chosen).collect()
    }

    /// Deletes parked rows that are published.
    pub(crate) async fn unpark(&self, places: &[Place]) -> Result<(), Error> {
        let Columns { buckets, fences, seqs, .. } = columns(places);
        self.execute(UNPARK, &[&buckets, &fences, &seqs]).await.map(drop)
    }
}

fn key(row: &Row) -> Result<Key, Error> {
    let (topic, key): (&str, &str) = (row.column("topic")?, row.column("key")?);
    Ok(Key { topic: topic.into(), key: key.into() })
}

fn head(row: &Row) -> Result<Head, Error> {
    let content_len: i32 = row.column("content_len")?;
    Ok(Head {
        seq: row.column("seq")?,
        bucket: row.column("bucket")?,
        key: key(row)?,
        content_len: content_len.unsigned_abs() as usize,
        inserted_at: row.column("inserted_at")?,
        row: None,
    })
}

fn chosen(row: &Row) -> Result<Pending, Error> {
    pending(row, key(row)?)
}

fn pending(row: &Row, key: Key) -> Result<Pending, Error> {
    let propagation = Propagation {
        traceparent: row.column("traceparent")?,
        tracestate: row.column("tracestate")?,
        baggage: row.column("baggage")?,
    };
    let envelope = Envelope {
        event_id: row.column("event_id")?,
        event_type: row.column("event_type")?,
        occurred_at: row.column("occurred_at")?,
        propagation,
    };
    Ok(Pending { seq: row.column("seq")?, key, payload: row.column("payload")?, envelope })
}
