//! One letter with everything that a decision needs.

use std::collections::BTreeSet;

use rdkafka::Message as _;

use super::{Decision, Error, Inspect, InspectError, Inspected, LetterId, Letters, Row, Selection};

/// A letter with its event, its headers and its decisions.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The letter; `None` when it is deleted from the topic.
    pub letter: Option<Content>,
    /// The decisions about it and about other letters of the same event, the oldest first, at most 100.
    pub decisions: Vec<Decision>,
}

/// What the topic has of a letter.
#[derive(Clone, Debug)]
pub struct Content {
    /// As in a list.
    pub row: Row,
    /// The event, or why it cannot be decoded.
    pub event: Result<Inspected, InspectError>,
    /// The size of the payload; `None` without a payload.
    pub payload_bytes: Option<usize>,
    /// All headers in their order. Unknown values are masked.
    pub headers: Vec<(String, Option<String>)>,
}

impl<I: Inspect> Letters<I> {
    /// Shows a letter; `None` when it never was one, or is older than its decisions are kept.
    ///
    /// # Errors
    /// Kafka or the database does not answer.
    pub async fn show(&self, id: LetterId) -> Result<Option<Shown>, Error> {
        let letter = {
            let selection = Selection { ids: Some(BTreeSet::from([id])), ..Selection::default() };
            self.scan(&selection, None).await?.next().await?
        };
        let decisions = self.decisions.history(id, letter.as_ref()).await?;
        let letter = match letter {
            Some(letter) => Some(Content {
                row: letter.row(),
                event: letter.inspect(&self.inspect).await,
                payload_bytes: letter.message.payload().map(<[u8]>::len),
                headers: letter.shown_headers(),
            }),
            None if decisions.is_empty() => return Ok(None),
            None => None,
        };
        Ok(Some(Shown { letter, decisions }))
    }
}
