//! Messages for handlers, and the records behind them.

use chrono::{DateTime, Utc};
use events::{Envelope, MalformedEnvelope};
use rdkafka::{
    Message as _,
    message::{Headers, OwnedHeaders, OwnedMessage},
};

use crate::budget::{Budget, Share};

/// A received event.
#[derive(Clone, Debug)]
pub struct Message {
    /// Identity, type, time and trace of the event.
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

    /// Decodes the envelope for an attempt.
    pub(crate) fn decode(&self, attempt: u32) -> Result<Message, MalformedEnvelope> {
        let headers = self.0.headers();
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

    pub(crate) fn topic(&self) -> &str {
        self.0.topic()
    }

    pub(crate) fn partition(&self) -> i32 {
        self.0.partition()
    }

    pub(crate) fn offset(&self) -> i64 {
        self.0.offset()
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    pub(crate) fn payload(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    pub(crate) fn timestamp(&self) -> Option<DateTime<Utc>> {
        self.timestamp_ms().and_then(DateTime::from_timestamp_millis)
    }

    pub(crate) fn timestamp_ms(&self) -> Option<i64> {
        self.0.timestamp().to_millis()
    }

    pub(crate) fn headers(&self) -> OwnedHeaders {
        self.0.headers().cloned().unwrap_or_default()
    }
}
