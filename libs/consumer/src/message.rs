//! Messages for handlers, and the records behind them.

use std::ops::Deref;

use events::{Envelope, MalformedEnvelope};
use rdkafka::{
    Message as _,
    message::{Headers, OwnedMessage},
};

use crate::budget::{Budget, Share};

/// A received event.
#[derive(Clone, Debug)]
pub struct Message {
    /// Identity, type and time of the event, and what it carries of its cause.
    pub envelope: Envelope,
    /// Aggregate id.
    pub key: Vec<u8>,
    /// The encoded event.
    pub payload: Vec<u8>,
    /// The number of this attempt in this process, from 1.
    pub attempt: u32,
    /// How often it was replayed from the dead-letter topic.
    pub replays: u32,
}

/// A received record, not decoded, with its share of the memory budget.
#[derive(Debug)]
pub(crate) struct Record(OwnedMessage, #[expect(dead_code, reason = "released on drop")] Share);

impl Record {
    pub(crate) fn new(message: OwnedMessage, budget: &Budget) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let bytes = message.key().map_or(0, <[u8]>::len)
            + message.payload().map_or(0, <[u8]>::len)
            + headers.map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum::<usize>();
        let share = budget.take(bytes);
        Self(message, share)
    }

    pub(crate) fn decode(&self, attempt: u32) -> Result<Message, MalformedEnvelope> {
        let headers = self.headers();
        let find = |name: &str| {
            let header = headers?.iter().find(|header| header.key == name)?;
            std::str::from_utf8(header.value?).ok()
        };
        Ok(Message {
            envelope: Envelope::from_headers(find)?,
            key: self.key().unwrap_or_default().to_vec(),
            payload: self.payload().unwrap_or_default().to_vec(),
            attempt,
            replays: find(events::header::REPLAYS).and_then(|count| count.parse().ok()).unwrap_or_default(),
        })
    }
}

impl Deref for Record {
    type Target = OwnedMessage;

    fn deref(&self) -> &OwnedMessage {
        &self.0
    }
}
