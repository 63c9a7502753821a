//! Letters as JSON.

use chrono::{DateTime, Utc};
use consumer::letters::{Content, Decision, Page, Row, Shown, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A dead letter: an event that the consumer gave up.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(super) struct LetterBody {
    /// Partition and offset in the dead-letter topic.
    #[schema(example = "0-17")]
    id: String,
    /// `open`; `in_progress` while a decision is made, or after a replay was interrupted; `decided`.
    #[schema(value_type = String, pattern = "^(open|in_progress|decided)$")]
    state: &'static str,
    /// When the event became a dead letter.
    #[schema(required = true)]
    at: Option<DateTime<Utc>>,
    /// Why, as a code.
    #[schema(required = true, example = "link_refused")]
    code: Option<String>,
    /// Why, as a text without personal data.
    #[schema(required = true)]
    reason: Option<String>,
    #[schema(required = true)]
    event_id: Option<Uuid>,
    #[schema(required = true)]
    event_type: Option<String>,
    /// The order.
    #[schema(required = true)]
    key: Option<Uuid>,
    /// How often the event was replayed before.
    replays: u32,
    /// The record that the consumer gave up: topic, partition, offset.
    source: String,
}

impl From<Row> for LetterBody {
    fn from(row: Row) -> Self {
        let Row { id, state, at, code, reason, event_id, event_type, key, replays, source } = row;
        let state = match state {
            State::Open => "open",
            State::InProgress => "in_progress",
            State::Decided => "decided",
        };
        Self { id: id.to_string(), state, at, code, reason, event_id, event_type, key, replays, source }
    }
}

/// A page of letters. It can be empty although another one follows, because a call ends after two seconds.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterPage)]
pub(super) struct PageBody {
    items: Vec<LetterBody>,
    /// Cursor of the next page; `null` at the end. Letters that arrive after the first page are not found.
    #[schema(required = true)]
    next: Option<String>,
}

impl From<Page> for PageBody {
    fn from(page: Page) -> Self {
        Self {
            items: page.rows.into_iter().map(LetterBody::from).collect(),
            next: page.next.map(|position| position.to_string()),
        }
    }
}

/// A header of the letter.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterHeader)]
struct HeaderBody {
    name: String,
    /// `***` unless the header is known to hold no personal data.
    #[schema(required = true)]
    value: Option<String>,
}

/// A decision about a letter.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterDecision)]
struct DecisionBody {
    /// The letter. An event that failed again has several.
    letter: String,
    /// `replayed` or `discarded`.
    action: String,
    /// Why it was discarded.
    #[schema(required = true)]
    reason: Option<String>,
    /// Who decided: the subject of the token.
    actor: String,
    began_at: DateTime<Utc>,
    /// `null` while a replay is in progress, or after it was interrupted.
    #[schema(required = true)]
    finished_at: Option<DateTime<Utc>>,
}

impl From<Decision> for DecisionBody {
    fn from(decision: Decision) -> Self {
        let Decision { letter, action, reason, actor, began_at, finished_at } = decision;
        Self { letter: letter.to_string(), action, reason, actor, began_at, finished_at }
    }
}

/// A letter with its event and its decisions.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownDeadLetter)]
pub(super) struct ShownBody {
    /// `null` when the letter is deleted from the topic, as it is after a decision.
    #[schema(required = true)]
    letter: Option<LetterBody>,
    /// The decoded event. Values that may be personal data are `***`.
    #[schema(required = true, value_type = Option<Object>)]
    event: Option<Value>,
    /// Why the event cannot be decoded.
    #[schema(required = true)]
    event_error: Option<String>,
    #[schema(required = true)]
    payload_bytes: Option<usize>,
    headers: Vec<HeaderBody>,
    /// The decisions about this letter and about other letters of its event, the oldest first.
    decisions: Vec<DecisionBody>,
}

impl From<Shown> for ShownBody {
    fn from(shown: Shown) -> Self {
        let decisions = shown.decisions.into_iter().map(DecisionBody::from).collect();
        let empty = Self {
            letter: None,
            event: None,
            event_error: None,
            payload_bytes: None,
            headers: Vec::new(),
            decisions,
        };
        let Some(Content { row, event, payload_bytes, headers }) = shown.letter else { return empty };
        let (event, event_error) = match event {
            Ok(event) => (Some(event.shown), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let headers = headers.into_iter().map(|(name, value)| HeaderBody { name, value }).collect();
        Self { letter: Some(row.into()), event, event_error, payload_bytes, headers, ..empty }
    }
}
