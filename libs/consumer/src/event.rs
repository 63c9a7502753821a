//! Events for handlers, and the records that carry them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use events::{Envelope, MalformedEnvelope};
use rdkafka::{Message as _, Timestamp, message::BorrowedMessage};

use crate::{
    budget::{Budget, Share},
    headers::{self, Headers, Retry},
    source::Origin,
};

/// A received event.
#[derive(Clone, Debug)]
pub struct Message {
    /// Identity, type and time of the event, and what it carries of its cause.
    pub envelope: Envelope,
    /// Aggregate id.
    pub key: Vec<u8>,
    /// The encoded event.
    pub payload: Vec<u8>,
    /// The number of this attempt in this process since the event was received, from 1.
    pub attempt: u32,
    /// How often it was replayed from the dead-letter topic.
    pub replays: u32,
}

/// An undecoded event with the headers of its producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) origin: Origin,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Headers,
    /// Retry topics that it was sent to.
    pub(crate) retries: usize,
}

impl Event {
    /// Reads a message. Takes the headers of a retry topic off it, if it comes from one, and returns the time of the next attempt.
    fn new(message: &BorrowedMessage<'_>, is_retry: bool) -> (Self, Option<DateTime<Utc>>) {
        let all = message.headers().map(headers::read).unwrap_or_default();
        let (headers, retry) = if is_retry { headers::take_retry(all) } else { (all, Retry::default()) };
        let here = || Origin {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            written_at: written_at(message.timestamp()),
        };
        let event = Self {
            origin: retry.origin.unwrap_or_else(here),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers,
            retries: retry.retries,
        };
        (event, retry.not_before)
    }

    pub(crate) fn decode(&self, attempt: u32) -> Result<Message, MalformedEnvelope> {
        let find = |name: &str| headers::text(&self.headers, name);
        Ok(Message {
            envelope: Envelope::from_headers(find)?,
            key: self.key.clone().unwrap_or_default(),
            payload: self.payload.clone().unwrap_or_default(),
            attempt,
            replays: headers::replays(&self.headers),
        })
    }

    /// Bytes of the key, the payload and the headers.
    fn size(&self) -> usize {
        let headers = self.headers.iter();
        self.key.as_ref().map_or(0, Vec::len)
            + self.payload.as_ref().map_or(0, Vec::len)
            + headers.map(|(name, value)| name.len() + value.as_ref().map_or(0, Vec::len)).sum::<usize>()
    }
}

/// A received record with its share of the memory budget.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) event: Event,
    /// The offset in the topic from which it was received.
    pub(crate) offset: i64,
    /// When it was written there, in milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
    /// In a retry topic: the earliest time of the next attempt.
    not_before: Option<DateTime<Utc>>,
    _share: Share,
}

impl Record {
    pub(crate) fn new(message: &BorrowedMessage<'_>, is_retry: bool, budget: &Budget) -> Self {
        let (event, not_before) = Event::new(message, is_retry);
        let share = budget.take(event.size());
        Self {
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            event,
            not_before,
            _share: share,
        }
    }

    /// The time until the next attempt may be made. A clock that is behind that of the writer cannot make it longer than `limit`.
    pub(crate) fn delay(&self, limit: Duration) -> Duration {
        let left = self.not_before.map_or(TimeDelta::zero(), |at| at - Utc::now());
        left.to_std().unwrap_or_default().min(limit)
    }

    #[cfg(test)]
    pub(crate) fn of_event(event: Event, budget: &Budget) -> Self {
        let share = budget.take(event.size());
        let (offset, timestamp) = (event.origin.offset, Some(event.origin.written_at.timestamp_millis()));
        Self { event, offset, timestamp, not_before: None, _share: share }
    }
}

fn written_at(timestamp: Timestamp) -> DateTime<Utc> {
    timestamp.to_millis().and_then(DateTime::from_timestamp_millis).unwrap_or_else(Utc::now)
}
