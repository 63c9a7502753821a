//! A message as handlers see it.

use chrono::{DateTime, Utc};
use events::{Envelope, MalformedEnvelope};
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Headers, OwnedHeaders, OwnedMessage},
};

use crate::budget::{Budget, Share};

/// An event that arrived.
#[derive(Clone, Debug)]
pub struct Message {
    /// Identity, type, time and trace of the event.
    pub envelope: Envelope,
    /// Aggregate id.
    pub key: Vec<u8>,
    /// The encoded event.
    pub payload: Vec<u8>,
    /// How often it was handed to the handler, this time included, since this process received it.
    pub attempt: u32,
    /// How often it was replayed from the dead-letter topic.
    pub replays: u32,
}

/// A message as it was received, whatever is in it, and its share of the memory.
#[derive(Debug)]
pub(crate) struct Received(
    OwnedMessage,
    #[expect(dead_code, reason = "held, and given back when dropped")] Share,
);

impl Received {
    pub(crate) fn new(message: &BorrowedMessage<'_>, budget: &Budget) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let bytes = message.key_len()
            + message.payload_len()
            + headers.map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum::<usize>();
        Self(message.detach(), budget.take(bytes))
    }

    /// Reads the envelope.
    pub(crate) fn open(&self) -> Result<Message, MalformedEnvelope> {
        let headers = self.0.headers();
        let find = |name: &str| {
            let header = headers?.iter().find(|header| header.key == name)?;
            std::str::from_utf8(header.value?).ok()
        };
        Ok(Message {
            envelope: Envelope::from_headers(find)?,
            key: self.key().unwrap_or_default().to_vec(),
            payload: self.payload().unwrap_or_default().to_vec(),
            attempt: 0,
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
