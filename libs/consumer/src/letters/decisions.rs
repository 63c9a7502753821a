//! All SQL of this module: what was decided about letters.
//!
//! ```text
//! (none) -> replay begun -> replayed
//!    |           |   ^
//!    |           +---+ again after LEASE
//!    +----------> discarded
//! ```
//!
//! A decision is about the letter with its offset and its timestamp: a topic that is created again has other letters at the same offsets.

use std::{collections::HashMap, ops::Range, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use pg::{Columns as _, Error, Pool, Row, run_tx, types::ToSql, write_opt};
use tokio_util::sync::CancellationToken;

use super::{LetterId, State, letter::Letter};

/// How long a begun replay excludes other decisions: longer than the producer's timeout.
const LEASE: Duration = Duration::from_secs(30);

/// How long decisions are kept, longer than the letters (28 days).
const RETENTION: Duration = Duration::from_hours(24 * 90);

/// Maximum number of decisions shown with a letter.
const MAX_SHOWN: i64 = 100;

/// Two concurrent decisions make the same number of the attempt, and one of them fails.
const BEGIN: &str = "\
-- begin_decision()
INSERT INTO dead_letter_decisions
    (topic, partition, letter_offset, attempt, written_at, event_id, action, reason, actor, finished_at)
SELECT $1::text, $2::int4, $3::int8, coalesce(max(attempt), 0) + 1, $4::timestamptz, $5::uuid, $6::text, $7::text, $8::text,
    CASE WHEN $6::text = 'discarded' THEN now() END
FROM dead_letter_decisions WHERE topic = $1::text AND partition = $2::int4 AND letter_offset = $3::int8
HAVING coalesce(bool_and(finished_at IS NULL AND began_at < now() - make_interval(secs => $9))
    FILTER (WHERE written_at IS NULL OR written_at = $4::timestamptz), true)
ON CONFLICT DO NOTHING
RETURNING attempt";

const FINISH: &str = "\
-- finish_decision()
UPDATE dead_letter_decisions SET finished_at = now()
WHERE topic = $1 AND partition = $2 AND letter_offset = $3 AND attempt = $4 AND finished_at IS NULL";

const STATES: &str = "\
SELECT letter_offset, written_at, finished_at IS NOT NULL AS is_finished
FROM dead_letter_decisions
WHERE topic = $1 AND partition = $2 AND letter_offset >= $3 AND letter_offset < $4";

/// Leaves out decisions about letters that are older than the one in front of these offsets: they were in an earlier topic with this name.
/// A decided letter of a writer whose clock is behind is left out too, but only until the letter in front is decided.
const COUNT: &str = "\
SELECT count(DISTINCT letter_offset) AS n_finished FROM dead_letter_decisions
WHERE topic = $1 AND partition = $2 AND letter_offset >= $3 AND letter_offset < $4
    AND (written_at IS NULL OR written_at >= $5) AND finished_at IS NOT NULL";

const HISTORY: &str = "\
SELECT partition, letter_offset, action, reason, actor, began_at, finished_at
FROM dead_letter_decisions
WHERE topic = $1 AND (event_id = $4 OR partition = $2 AND letter_offset = $3
    AND (written_at IS NULL OR $5::timestamptz IS NULL OR written_at = $5))
ORDER BY began_at, attempt LIMIT $6";

const PURGE: &str = "\
DELETE FROM dead_letter_decisions WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM dead_letter_decisions
    WHERE began_at <= now() - make_interval(secs => $2) LIMIT $1 FOR UPDATE SKIP LOCKED))";

/// What is decided about a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Its event goes to its group again.
    Replay,
    /// Its event is never handled, for this reason.
    Discard(String),
}

impl Action {
    /// The name of the finished action.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Discard(_) => "discarded",
        }
    }
}

/// A decision about a letter: a row of the audit.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The letter.
    pub letter: LetterId,
    /// `replayed` or `discarded`.
    pub action: String,
    /// Why it was discarded.
    pub reason: Option<String>,
    /// Who decided: the subject of the token.
    pub actor: String,
    /// When.
    pub began_at: DateTime<Utc>,
    /// When it was done; `None` while a replay is in progress, or after a crash during it.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Decisions about the letters of a partition, by offset: the timestamp of the letter, and what the decision makes of it.
pub(super) type Known = HashMap<i64, Vec<(Option<DateTime<Utc>>, State)>>;

/// The decisions about the letters of one topic. Clones share the pool.
#[derive(Clone)]
pub(super) struct Decisions {
    pub(super) pool: Pool,
    pub(super) topic: Arc<str>,
}

impl Decisions {
    /// Begins a replay, or records a discard. Returns the attempt; `None` when another decision is made or finished.
    pub(super) async fn begin(
        &self,
        letter: &Letter,
        action: &Action,
        actor: &str,
    ) -> Result<Option<i32>, Error> {
        let reason = match action {
            Action::Replay => None,
            Action::Discard(reason) => Some(reason),
        };
        let name = action.name();
        let LetterId { partition, offset } = letter.id;
        let (written_at, event_id) = (letter.at(), letter.event_id());
        let lease = LEASE.as_secs_f64();
        let row = write_opt(
            &self.pool,
            "begin_decision",
            BEGIN,
            &[&&*self.topic, &partition, &offset, &written_at, &event_id, &name, &reason, &actor, &lease],
        )
        .await?;
        row.map(|row| row.column("attempt")).transpose()
    }

    pub(super) async fn finish(&self, letter: LetterId, attempt: i32) -> Result<(), Error> {
        let LetterId { partition, offset } = letter;
        let parameters: [&(dyn ToSql + Sync); 4] = [&&*self.topic, &partition, &offset, &attempt];
        write_opt(&self.pool, "finish_decision", FINISH, &parameters).await.map(drop)
    }

    /// Returns what was decided about letters at these offsets.
    pub(super) async fn known(&self, partition: i32, offsets: Range<i64>) -> Result<Known, Error> {
        let context = (&*self.topic, partition, offsets.start, offsets.end);
        run_tx(&self.pool, "dead_letter_states", &context, |tx, (topic, partition, start, end)| {
            Box::pin(async move {
                let mut known = Known::new();
                for row in tx.query(STATES, &[topic, partition, start, end]).await? {
                    let state = if row.column("is_finished")? { State::Decided } else { State::InProgress };
                    let of_offset = known.entry(row.column("letter_offset")?).or_default();
                    of_offset.push((row.column("written_at")?, state));
                }
                Ok(known)
            })
        })
        .await
    }

    /// Counts the decided letters at these offsets, which are behind a letter that was written at `since`.
    pub(super) async fn count(
        &self,
        partition: i32,
        offsets: Range<i64>,
        since: Option<DateTime<Utc>>,
    ) -> Result<i64, Error> {
        let context = (&*self.topic, partition, offsets.start, offsets.end, since);
        run_tx(&self.pool, "count_dead_letters", &context, |tx, (topic, partition, start, end, since)| {
            Box::pin(async move {
                let row = tx.query_one(COUNT, &[topic, partition, start, end, since]).await?;
                row.column("n_finished")
            })
        })
        .await
    }

    /// Returns the decisions about a letter, and about other letters of its event. Without the letter, all decisions about its id.
    pub(super) async fn history(
        &self,
        id: LetterId,
        letter: Option<&Letter>,
    ) -> Result<Vec<Decision>, Error> {
        let (event_id, written_at) = (letter.and_then(Letter::event_id), letter.and_then(Letter::at));
        let context = (&*self.topic, id, event_id, written_at);
        run_tx(&self.pool, "dead_letter_history", &context, |tx, (topic, id, event_id, written_at)| {
            Box::pin(async move {
                let parameters: [&(dyn ToSql + Sync); 6] =
                    [topic, &id.partition, &id.offset, event_id, written_at, &MAX_SHOWN];
                tx.query(HISTORY, &parameters).await?.iter().map(decision).collect()
            })
        })
        .await
    }

    /// Deletes old decisions until `stop`.
    pub(super) async fn run_retention(&self, stop: CancellationToken) {
        pg::run_retention("dead_letter_decisions", stop, |limit| async move {
            let context = (limit, RETENTION.as_secs_f64());
            run_tx(&self.pool, "purge_decisions", &context, |tx, (limit, age)| {
                Box::pin(async move { tx.execute(PURGE, &[limit, age]).await })
            })
            .await
        })
        .await;
    }
}

fn decision(row: &Row) -> Result<Decision, Error> {
    Ok(Decision {
        letter: LetterId { partition: row.column("partition")?, offset: row.column("letter_offset")? },
        action: row.column("action")?,
        reason: row.column("reason")?,
        actor: row.column("actor")?,
        began_at: row.column("began_at")?,
        finished_at: row.column("finished_at")?,
    })
}
