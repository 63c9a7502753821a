//! A letter, and what people see of it: no payload, and no value that can be personal data.

use std::future::Future;

use chrono::{DateTime, Utc};
use events::{
    MASK,
    header::{EVENT_ID, EVENT_TYPE, OCCURRED_AT, REPLAYS},
};
use rdkafka::{Message as _, message::OwnedMessage};
use serde_json::Value;
use uuid::Uuid;

use super::{LetterId, headers::BOOKKEEPING};
use crate::{
    headers::{self, Headers},
    source::Origin,
};

/// Headers whose values are shown, beside the bookkeeping.
const SHOWN_HEADERS: [&str; 5] = [EVENT_ID, EVENT_TYPE, OCCURRED_AT, "traceparent", REPLAYS];

/// Reads the events of a topic for people.
pub trait Inspect: Send + Sync + 'static {
    /// Decodes an event.
    fn inspect(
        &self,
        event_type: &str,
        payload: &[u8],
    ) -> impl Future<Output = Result<Inspected, InspectError>> + Send;
}

/// Why an event is not decoded, without data of the event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// It can never be decoded.
    #[error("{0}")]
    Undecodable(String),
    /// What is needed for that does not answer: it may be decoded later.
    #[error("{0}")]
    Unavailable(String),
}

/// An event for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The tenant of the event.
    pub tenant: String,
    /// The event with personal data masked.
    pub shown: Value,
}

/// Whether something was decided about a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing.
    Open,
    /// A decision is in progress, or a replay was interrupted. The next one can begin after 30 seconds.
    InProgress,
    /// It was replayed or discarded.
    Decided,
}

/// A letter in a list.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its id.
    pub id: LetterId,
    /// Whether something was decided about it.
    pub state: State,
    /// When the event became a dead letter.
    pub at: Option<DateTime<Utc>>,
    /// Why, as a code of the consumer. `None` for a letter of a release without codes.
    pub code: Option<String>,
    /// Why, as a text.
    pub reason: Option<String>,
    /// The id of the event.
    pub event_id: Option<Uuid>,
    /// The type of the event.
    pub event_type: Option<String>,
    /// The aggregate id, if the key is a UUID.
    pub key: Option<Uuid>,
    /// How often it was replayed before.
    pub replays: u32,
    /// Where the event was first read, as `TOPIC/PARTITION/OFFSET`.
    pub source: String,
}

/// A record of the dead-letter topic.
pub(super) struct Letter {
    pub(super) id: LetterId,
    /// Without its headers.
    pub(super) message: OwnedMessage,
    pub(super) headers: Headers,
    pub(super) state: State,
}

impl Letter {
    /// A letter about which no decision is known yet.
    pub(super) fn new(mut message: OwnedMessage) -> Self {
        let headers = message.detach_headers().as_ref().map(headers::read).unwrap_or_default();
        let id = LetterId { partition: message.partition(), offset: message.offset() };
        Self { id, message, headers, state: State::Open }
    }

    /// The first header of this name, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        headers::text(&self.headers, name)
    }

    pub(super) fn row(&self) -> Row {
        let shown = |name| self.header(name).map(|value| shown(value).to_owned());
        let part = |name| shown(name).unwrap_or_else(|| "-".to_owned());
        let (topic, partition, offset) =
            (part("dead-letter-topic"), part("dead-letter-partition"), part("dead-letter-offset"));
        Row {
            id: self.id,
            state: self.state,
            at: self.at(),
            code: shown("dead-letter-code"),
            reason: shown("dead-letter-reason"),
            event_id: self.event_id(),
            event_type: shown(EVENT_TYPE),
            key: self.key(),
            replays: headers::replays(&self.headers),
            source: format!("{topic}/{partition}/{offset}"),
        }
    }

    pub(super) fn at(&self) -> Option<DateTime<Utc>> {
        self.message.timestamp().to_millis().and_then(DateTime::from_timestamp_millis)
    }

    /// Where the event was first read; `None` if the letter does not say so.
    pub(super) fn origin(&self) -> Option<Origin> {
        let part = |name| self.header(name);
        Some(Origin {
            topic: part("dead-letter-topic")?.to_owned(),
            partition: part("dead-letter-partition")?.parse().ok()?,
            offset: part("dead-letter-offset")?.parse().ok()?,
            written_at: part("dead-letter-timestamp")?.parse().ok()?,
        })
    }

    pub(super) fn event_id(&self) -> Option<Uuid> {
        self.header(EVENT_ID)?.parse().ok()
    }

    pub(super) fn key(&self) -> Option<Uuid> {
        self.message.key().and_then(|key| Uuid::try_parse_ascii(key).ok())
    }

    /// Decodes the event.
    pub(super) async fn inspect(&self, inspect: &impl Inspect) -> Result<Inspected, InspectError> {
        let event_type = self.header(EVENT_TYPE).unwrap_or_default();
        inspect.inspect(event_type, self.message.payload().unwrap_or_default()).await
    }

    /// All headers, in their order; values that are not known to be harmless are masked.
    pub(super) fn shown_headers(&self) -> Vec<(String, Option<String>)> {
        let value = |name: &str, value: &[u8]| match std::str::from_utf8(value) {
            Ok(value) if BOOKKEEPING.contains(&name) || SHOWN_HEADERS.contains(&name) => {
                shown(value).to_owned()
            }
            _ => MASK.to_owned(),
        };
        let headers = self.headers.iter();
        headers
            .map(|(name, bytes)| (shown(name).to_owned(), bytes.as_ref().map(|bytes| value(name, bytes))))
            .collect()
    }
}

/// A text, unless it can contain a mail address.
fn shown(text: &str) -> &str {
    if text.contains('@') { MASK } else { text }
}
