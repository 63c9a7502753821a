//! Lists letters, and carries out what people decide about them.

use std::{
    num::NonZeroU8,
    str::FromStr,
    time::{Duration, Instant},
};

use chrono::Utc;
use rdkafka::{
    Message as _,
    producer::{FutureProducer, FutureRecord},
};

use super::{
    Action, Error, Inspect, Letters, Position, Row, Selection, State, TIME_OF_A_CALL, decisions::Decisions,
    headers::replayed, letter::Letter,
};
use crate::headers::{with_retry, write};

/// Letters on a page at most.
const MAX_ROWS: usize = 200;

/// Time limit for the acknowledgement of a replay; below the lease of a decision.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause before a letter is inspected again that cannot be decoded now.
const INSPECT_PAUSE: Duration = Duration::from_millis(100);

/// Decisions of one call per second: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(NonZeroU8);

/// The text is not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 100")]
pub struct InvalidRate;

impl Default for Rate {
    fn default() -> Self {
        Self(NonZeroU8::new(10).expect("not zero"))
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        text.parse().ok().filter(|rate: &NonZeroU8| rate.get() <= 100).map(Self).ok_or(InvalidRate)
    }
}

impl Rate {
    fn pause(self) -> Duration {
        Duration::from_secs(1) / u32::from(self.0.get())
    }
}

/// What a call does with the letters that it finds.
#[derive(Clone, Debug)]
pub enum Act {
    /// Only lists them.
    List,
    /// Decides about each.
    Decide {
        /// What.
        action: Action,
        /// Who: the subject of the token.
        actor: String,
        /// How fast.
        rate: Rate,
    },
}

/// A call: which letters, from where on, and what to do.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which open letters.
    pub selection: Selection,
    /// The end of an earlier page; `None` begins a search.
    pub from: Option<Position>,
    /// Letters on the page at most; never above 200.
    pub limit: usize,
    /// What to do.
    pub act: Act,
}

/// Letters, in the order of their ids. A page can be short or empty although another one follows.
#[derive(Clone, Debug)]
pub struct Page {
    /// The letters, with their state after this call.
    pub rows: Vec<Row>,
    /// Where the next call continues; `None` at the end.
    pub next: Option<Position>,
}

impl<I: Inspect> Letters<I> {
    /// Carries out a call. It ends after two seconds, and its next page continues there: at the first letter of which it is not known
    /// whether it is selected, if there is one.
    ///
    /// # Errors
    /// Kafka or the database does not answer, or this is not known of the letter with which the call begins. What was decided before that
    /// stays decided.
    pub async fn work(&self, order: &Order) -> Result<Page, Error> {
        let started = Instant::now();
        let mut scan = self.scan(&order.selection, order.from.as_ref()).await?;
        let (mut rows, mut first, mut undecided) = (Vec::new(), None, None);
        while rows.len() < order.limit.min(MAX_ROWS) && started.elapsed() < TIME_OF_A_CALL {
            let Some(letter) = scan.next().await? else { break };
            first.get_or_insert(letter.id);
            if letter.state == State::Decided {
                continue;
            }
            match order.selection.admits(&letter, &self.inspect).await {
                Ok(is_selected) => {
                    undecided = None;
                    if !is_selected {
                        continue;
                    }
                }
                Err(error) => {
                    undecided = Some((letter.id, error));
                    scan.step_back(letter.id);
                    tokio::time::sleep(INSPECT_PAUSE).await;
                    continue;
                }
            }
            let mut row = letter.row();
            if let Act::Decide { action, actor, rate } = &order.act {
                let pause = tokio::time::sleep(rate.pause());
                row.state = self.decide(letter, action, actor).await?;
                pause.await;
            }
            rows.push(row);
        }
        match undecided {
            Some((id, error)) if first == Some(id) => Err(Error::Undecided(id, error)),
            _ => Ok(Page { rows, next: scan.position() }),
        }
    }

    /// Decides about a letter, in a task of its own: a client that disconnects does not interrupt it.
    async fn decide(&self, letter: Letter, action: &Action, actor: &str) -> Result<State, Error> {
        let decision = Deciding {
            decisions: self.decisions.clone(),
            producer: self.producer.clone(),
            topic: self.settings.replay_topic.clone(),
            action: action.clone(),
            actor: actor.to_owned(),
        };
        let deciding = telemetry::task::spawn("dead letter", async move { decision.run(&letter).await });
        deciding.await.unwrap_or(Err(Error::Interrupted))
    }
}

/// One decision in progress.
struct Deciding {
    decisions: Decisions,
    producer: FutureProducer,
    topic: String,
    action: Action,
    actor: String,
}

impl Deciding {
    async fn run(&self, letter: &Letter) -> Result<State, Error> {
        let begun = self.decisions.begin(letter, &self.action, &self.actor).await?;
        let Some(attempt) = begun else { return Ok(State::InProgress) };
        if self.action == Action::Replay {
            fail_point::hit("consumer.replay_begun");
            self.send(letter).await?;
            fail_point::hit("consumer.replay_sent");
            self.decisions.finish(letter.id, attempt).await?;
        }
        let event_id = letter.event_id().map(tracing::field::display);
        tracing::info!(letter = %letter.id, event_id, action = self.action.name(), actor = self.actor, attempt, "decided about a dead letter");
        Ok(State::Decided)
    }

    /// Returns after the acknowledgement of the broker.
    async fn send(&self, letter: &Letter) -> Result<(), Error> {
        let headers = replayed(&letter.headers);
        // A retry topic needs the origin. Without it, the event counts as one that was first read there.
        let headers = match letter.origin() {
            Some(origin) => with_retry(&headers, &origin, 0, Utc::now()),
            None => write(&headers),
        };
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&self.topic).headers(headers);
        record.key = letter.message.key();
        record.payload = letter.message.payload();
        self.producer.send(record, SEND_TIMEOUT).await.map_err(|(error, _)| error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_bounded() {
        assert_eq!("100".parse::<Rate>().map(Rate::pause), Ok(Duration::from_millis(10)));
        for text in ["0", "101", "256", "-1", "", "1.5"] {
            assert_eq!(text.parse::<Rate>(), Err(InvalidRate), "{text}");
        }
    }
}
