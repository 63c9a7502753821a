//! Postponed events: those that left their topic and are not handled. The events of a key form a line; the first of them is in a retry
//! topic, and the others wait behind it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use events::header::EVENT_ID;
use futures::future::try_join;
use pg::{Columns as _, Error, Migration, Pool, Row, Tx, run_tx};
use uuid::Uuid;

use crate::{
    event::Event,
    headers::{Headers, text},
    source::Origin,
};

/// The schema of this library, under the name `consumer`. It belongs to the database in which a handler records its effects.
pub const MIGRATIONS: &[Migration] = &[
    ("V1__create_postponed_events", include_str!("../migrations/V1__create_postponed_events.sql")),
    ("V2__create_dead_letter_decisions", include_str!("../migrations/V2__create_dead_letter_decisions.sql")),
    (
        "V3__identify_letters_of_decisions",
        include_str!("../migrations/V3__identify_letters_of_decisions.sql"),
    ),
    ("V4__describe_due_at", include_str!("../migrations/V4__describe_due_at.sql")),
];

/// How long the first event of a line may be overdue before its copy in the retry topic counts as lost.
const LOST_AFTER: Duration = Duration::from_mins(5);

/// Copies that are sent again at once, at most.
const LOST_LIMIT: i64 = 100;

/// One writer of a line at a time: without it, an event could join a line while its last event leaves, and wait for ever.
const LOCK_LINE: &str = "\
SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2 || '/' || encode($3::bytea, 'base64'), 0))";

const ADD: &str = "\
INSERT INTO postponed_events AS event
    (consumer_group, topic, partition, \"offset\", key, event_id, payload, header_names, header_values, written_at, retries,
     due_at, is_late)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
    clock_timestamp() + make_interval(secs => $12), $13)
ON CONFLICT (consumer_group, topic, partition, \"offset\") DO UPDATE
SET retries = EXCLUDED.retries, due_at = coalesce(EXCLUDED.due_at, event.due_at)";

/// An event without a key has no line.
const IS_FIRST: &str = "\
SELECT $5::bytea IS NULL OR NOT EXISTS (
    SELECT FROM postponed_events AS before, postponed_events AS event
    WHERE event.consumer_group = $1 AND event.topic = $2 AND event.partition = $3 AND event.\"offset\" = $4
        AND before.consumer_group = $1 AND before.topic = $2 AND before.key = $5 AND before.place < event.place)";

const HAS_LINE: &str =
    "SELECT EXISTS (SELECT FROM postponed_events WHERE consumer_group = $1 AND topic = $2 AND key = $3)";

const DELETE: &str = "\
DELETE FROM postponed_events WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND \"offset\" = $4";

/// The next event becomes the first of its line. If its handling is interrupted, it is overdue later, and a copy is sent.
const NEXT: &str = "\
UPDATE postponed_events SET due_at = clock_timestamp()
WHERE consumer_group = $1 AND topic = $2 AND key = $3 AND place = (
    SELECT min(place) FROM postponed_events WHERE consumer_group = $1 AND topic = $2 AND key = $3)
RETURNING *";

const KEYS: &str = "\
SELECT DISTINCT key FROM postponed_events
WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND key IS NOT NULL";

const LOST: &str = "\
UPDATE postponed_events SET due_at = clock_timestamp()
WHERE (consumer_group, topic, partition, \"offset\") IN (
    SELECT consumer_group, topic, partition, \"offset\" FROM postponed_events AS event
    WHERE consumer_group = $1 AND topic = $2 AND due_at < clock_timestamp() - make_interval(secs => $3)
        AND NOT EXISTS (
            SELECT FROM postponed_events AS before
            WHERE before.consumer_group = $1 AND before.topic = $2 AND before.key = event.key AND before.place < event.place)
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED)
RETURNING *";

const MEASURE: &str = "\
WITH late AS (
    UPDATE postponed_events SET is_late = true
    WHERE consumer_group = $1 AND topic = $2 AND NOT is_late AND written_at < clock_timestamp() - make_interval(secs => $3)
    RETURNING 1)
SELECT (SELECT count(*) FROM late) AS late, count(*) AS events, count(DISTINCT key) AS keys,
    coalesce(extract(epoch FROM clock_timestamp() - min(written_at)), 0)::float8 AS oldest
FROM postponed_events WHERE consumer_group = $1 AND topic = $2";

/// The place of an event in the line of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Behind,
}

/// The postponed events of one consumer group.
#[derive(Clone)]
pub(crate) struct Postponed {
    pub(crate) pool: Pool,
    pub(crate) group: String,
    /// The age at which an event is late.
    pub(crate) due_after: Duration,
}

/// A count of the postponed events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Those that have become late since the count before.
    pub(crate) late: i64,
    pub(crate) events: i64,
    pub(crate) keys: i64,
    /// Age of the oldest in seconds; 0 if there is none.
    pub(crate) oldest: f64,
}

/// An event with what its row has beside it.
struct Entry<'a> {
    group: &'a str,
    event: &'a Event,
    retries: i32,
    /// Seconds.
    delay: f64,
    is_late: bool,
}

impl Postponed {
    /// Postpones an event whose attempt failed: it is due after `delay`, after `retries` retry topics. `is_late`: it is counted as late.
    pub(crate) async fn add(
        &self,
        event: &Event,
        retries: usize,
        delay: Duration,
        is_late: bool,
    ) -> Result<Place, Error> {
        let entry = self.entry(event, retries, delay, is_late);
        run_tx(&self.pool, "postpone_event", &entry, |tx, entry| {
            Box::pin(async move {
                lock(tx, entry.group, entry.event).await?;
                insert(tx, entry).await
            })
        })
        .await
    }

    /// Adds an event to the line of its key. Returns `None` if there is no line: the event can be handled.
    pub(crate) async fn join(&self, event: &Event, is_late: bool) -> Result<Option<Place>, Error> {
        let entry = self.entry(event, event.retries, Duration::ZERO, is_late);
        run_tx(&self.pool, "join_line", &entry, |tx, entry| {
            Box::pin(async move {
                lock(tx, entry.group, entry.event).await?;
                let origin = &entry.event.origin;
                let line = tx.query_one(HAS_LINE, &[&entry.group, &origin.topic, &entry.event.key]).await?;
                if line.column(0)? { insert(tx, entry).await.map(Some) } else { Ok(None) }
            })
        })
        .await
    }

    /// Removes a handled event, and returns the next one of its line.
    pub(crate) async fn finish(&self, event: &Event) -> Result<Option<Event>, Error> {
        run_tx(&self.pool, "finish_postponed", &(&*self.group, event), |tx, (group, event)| {
            Box::pin(async move {
                lock(tx, group, event).await?;
                let Origin { topic, partition, offset, .. } = &event.origin;
                tx.execute(DELETE, &[group, topic, partition, offset]).await?;
                let next = tx.query_opt(NEXT, &[group, topic, &event.key]).await?;
                next.as_ref().map(read).transpose()
            })
        })
        .await
    }

    /// The keys of a partition that have a line.
    pub(crate) async fn keys(&self, topic: &str, partition: i32) -> Result<Vec<Vec<u8>>, Error> {
        run_tx(
            &self.pool,
            "keys_with_lines",
            &(&self.group, topic, partition),
            |tx, (group, topic, partition)| {
                Box::pin(async move {
                    let rows = tx.query(KEYS, &[group, topic, partition]).await?;
                    rows.iter().map(|row| row.column("key")).collect()
                })
            },
        )
        .await
    }

    /// The first events of lines whose copy in a retry topic is lost, once each.
    pub(crate) async fn take_lost(&self, topic: &str) -> Result<Vec<Event>, Error> {
        let context = (&self.group, topic, LOST_AFTER.as_secs_f64());
        run_tx(&self.pool, "take_lost_events", &context, |tx, (group, topic, after)| {
            Box::pin(async move {
                let rows = tx.query(LOST, &[group, topic, after, &LOST_LIMIT]).await?;
                rows.iter().map(read).collect()
            })
        })
        .await
    }

    /// Counts the postponed events, and marks those that have become late.
    pub(crate) async fn measure(&self, topic: &str) -> Result<Measured, Error> {
        let context = (&self.group, topic, self.due_after.as_secs_f64());
        run_tx(&self.pool, "measure_postponed", &context, |tx, (group, topic, due_after)| {
            Box::pin(async move {
                let row = tx.query_one(MEASURE, &[group, topic, due_after]).await?;
                Ok(Measured {
                    late: row.column("late")?,
                    events: row.column("events")?,
                    keys: row.column("keys")?,
                    oldest: row.column("oldest")?,
                })
            })
        })
        .await
    }

    fn entry<'a>(&'a self, event: &'a Event, retries: usize, delay: Duration, is_late: bool) -> Entry<'a> {
        Entry {
            group: &self.group,
            event,
            retries: i32::try_from(retries).unwrap_or(i32::MAX),
            delay: delay.as_secs_f64(),
            is_late,
        }
    }
}

async fn lock(tx: &Tx<'_>, group: &str, event: &Event) -> Result<(), Error> {
    let Some(key) = &event.key else { return Ok(()) };
    tx.execute(LOCK_LINE, &[&group, &event.origin.topic, key]).await.map(drop)
}

async fn insert(tx: &Tx<'_>, entry: &Entry<'_>) -> Result<Place, Error> {
    let Event { origin, key, payload, headers, .. } = entry.event;
    // Only for people who look into the table: an event is found by its origin.
    let event_id: Uuid = text(headers, EVENT_ID).and_then(|id| id.parse().ok()).unwrap_or_default();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<_> = headers.iter().map(|(_, value)| value.as_deref()).collect();
    let place: [&(dyn pg::types::ToSql + Sync); 5] =
        [&entry.group, &origin.topic, &origin.partition, &origin.offset, key];
    let rest: [&(dyn pg::types::ToSql + Sync); 8] = [
        &event_id,
        payload,
        &names,
        &values,
        &origin.written_at,
        &entry.retries,
        &entry.delay,
        &entry.is_late,
    ];
    let row = [&place[..], &rest[..]].concat();
    let (_, first) = try_join(tx.execute(ADD, &row), tx.query_one(IS_FIRST, &place)).await?;
    Ok(if first.column(0)? { Place::First } else { Place::Behind })
}

fn read(row: &Row) -> Result<Event, Error> {
    let names: Vec<String> = row.column("header_names")?;
    let values: Vec<Option<Vec<u8>>> = row.column("header_values")?;
    let headers: Headers = names.into_iter().zip(values).collect();
    let written_at: DateTime<Utc> = row.column("written_at")?;
    let retries: i32 = row.column("retries")?;
    Ok(Event {
        origin: Origin {
            topic: row.column("topic")?,
            partition: row.column("partition")?,
            offset: row.column("offset")?,
            written_at,
        },
        key: row.column("key")?,
        payload: row.column("payload")?,
        headers,
        retries: retries.unsigned_abs() as usize,
    })
}
