//! What is not published yet, over all replicas. Each relay measures it, also one without buckets.

use std::{
    error::Error as StdError,
    time::{Duration, Instant},
};

use pg::{Columns as _, Error, Pool, Row};
use tokio::sync::watch;

use crate::metrics;

/// Shortest interval between two measurements.
const INTERVAL: Duration = Duration::from_secs(1);

/// A measurement takes at most this share of the time, up to [`MAX_PAUSE`].
const MAX_SHARE: u32 = 10;

/// Longest pause between two measurements, also after a slow or failed one: in a drill, an alert fires when the last one is ten seconds
/// old.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Time in which the rate of publishing follows a change, by 63 %.
const SMOOTHING: Duration = Duration::from_secs(10);

/// Events of a bucket that are counted beyond what its owner has read, so that the count of a huge table stays cheap. All buckets
/// together: a million.
const MAX_COUNTED: i64 = 65_536;

/// Events that wait behind the newest published one, at least, for their age to count. One stuck key has fewer.
const MIN_FRONT: i64 = 10;

/// `oldest` is the age of the oldest row that can be published, by the clock of the database. The view `outbox_unpublished` has the
/// same rows, but this reads only the first one of each bucket.
const MEASURE: &str = "\
SELECT coalesce(extract(epoch FROM clock_timestamp() - least(
        (SELECT min(first.inserted_at) FROM outbox_bucket b CROSS JOIN LATERAL (
            SELECT o.inserted_at FROM outbox o
            WHERE o.bucket = b.bucket AND o.seq > b.published_up_to
                AND NOT EXISTS (SELECT FROM outbox_parked p WHERE p.topic = o.topic AND p.key = o.key)
            ORDER BY o.seq LIMIT 1) first),
        (SELECT min(p.parked_at) FROM outbox_parked p WHERE NOT EXISTS (
            SELECT FROM outbox_parked r WHERE r.topic = p.topic AND r.key = p.key AND r.refused AND r.seq <= p.seq)))),
    0)::float8 AS oldest,
    (SELECT count(*) FROM outbox_parked WHERE refused) AS parked,
    (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_seq_seq) AS last_seq,
    (SELECT sum(CASE WHEN b.read_up_to > b.published_up_to THEN b.n_unpublished ELSE 0 END + unread.n)::bigint
        FROM outbox_bucket b CROSS JOIN LATERAL (SELECT count(*) AS n FROM (
            SELECT FROM outbox o
            WHERE o.bucket = b.bucket AND o.seq > greatest(b.published_up_to, b.read_up_to) LIMIT $1) o) unread) AS unpublished,
    (SELECT CASE WHEN count(*) >= $2 THEN extract(epoch FROM clock_timestamp() - min(behind.inserted_at)) ELSE 0 END::float8
        FROM outbox_bucket b CROSS JOIN LATERAL (
            SELECT o.inserted_at FROM outbox o
            WHERE o.bucket = b.bucket AND o.seq > b.published_up_to
                AND o.inserted_at > coalesce((SELECT max(newest_published) FROM outbox_bucket), '-infinity')
                AND NOT EXISTS (SELECT FROM outbox_parked p WHERE p.topic = o.topic AND p.key = o.key)
            ORDER BY o.seq LIMIT $2) behind) AS front_age";

/// The events of a database that are not published, parked ones excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Backlog {
    /// The number of events; above a million it is an underestimate.
    pub unpublished: u64,
    /// How long the front of publishing has stood: the age of the oldest event that is newer than every published one. Zero while
    /// fewer than ten events are. An event that others have overtaken, because its key or its partition is stuck, does not count.
    pub front_age: Duration,
    /// Events published per second by all replicas, smoothed over ten seconds.
    pub published_per_second: f64,
}

/// Measures until it is dropped. A failure is logged, and leaves the last values and `outbox_observed_timestamp_seconds` as they are.
pub(crate) async fn measure(pool: &Pool, backlog: &watch::Sender<Option<Backlog>>) {
    let mut rate = Rate::default();
    loop {
        let started = Instant::now();
        match measure_once(pool, &mut rate).await {
            Ok(measured) => {
                backlog.send_replace(measured);
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn StdError,
                "the backlog of the outbox cannot be measured, trying again"
            ),
        }
        tokio::time::sleep((started.elapsed() * MAX_SHARE).clamp(INTERVAL, MAX_PAUSE)).await;
    }
}

async fn measure_once(pool: &Pool, rate: &mut Rate) -> Result<Option<Backlog>, Error> {
    let row = pg::query_opt(pool, "outbox_backlog", MEASURE, &[&MAX_COUNTED, &MIN_FRONT]).await?;
    row.map(|row| show(&row, rate)).transpose()
}

fn show(row: &Row, rate: &mut Rate) -> Result<Backlog, Error> {
    let (unpublished, last_seq): (i64, i64) = (row.column("unpublished")?, row.column("last_seq")?);
    let front_age: f64 = row.column("front_age")?;
    metrics::OLDEST_UNPUBLISHED.set(row.column("oldest")?);
    metrics::PARKED_ROWS.set(row.column("parked")?);
    metrics::UNPUBLISHED_ROWS.set(unpublished);
    metrics::FRONT_AGE.set(front_age);
    metrics::show_observed();
    Ok(Backlog {
        unpublished: unpublished.unsigned_abs(),
        front_age: Duration::try_from_secs_f64(front_age).unwrap_or_default(),
        published_per_second: rate.observe(last_seq - unpublished, Instant::now()),
    })
}

/// The smoothed rate of publishing, from the sequence and the backlog, which are those of all replicas.
#[derive(Debug, Default)]
struct Rate {
    last: Option<(i64, Instant)>,
    per_second: f64,
}

impl Rate {
    /// Takes the number of events that were published or never written until now.
    #[expect(clippy::cast_precision_loss, reason = "a difference of seconds, far below 2^53")]
    fn observe(&mut self, published: i64, now: Instant) -> f64 {
        if let Some((before, at)) = self.last.replace((published, now)) {
            let seconds = (now - at).as_secs_f64().max(f64::EPSILON);
            // The backlog is some milliseconds older in one bucket than in another, so a difference can be negative.
            let current = (published - before).max(0) as f64 / seconds;
            let weight = 1.0 - (-seconds / SMOOTHING.as_secs_f64()).exp();
            self.per_second += weight * (current - self.per_second);
        }
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_what_all_replicas_publish_and_falls_when_they_stop() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        assert!(rate.observe(1_000, at(0)).abs() < f64::EPSILON, "one observation has no rate");
        for second in 1..=60 {
            rate.observe(1_000 + 50 * i64::try_from(second).unwrap(), at(second));
        }
        assert!((rate.per_second - 50.0).abs() < 0.5, "{rate:?}");
        for second in 61..=120 {
            rate.observe(4_000, at(second));
        }
        assert!(rate.per_second < 0.2, "{rate:?}");
        assert!(rate.observe(3_990, at(121)) >= 0.0);
    }
}
