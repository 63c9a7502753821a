//! What every message carries beside its payload, in headers.

use chrono::{DateTime, SecondsFormat, Utc};
use thiserror::Error;
use uuid::Uuid;

/// Names of the headers.
pub mod header {
    /// Identity of the event (UUIDv7), the same on every delivery: what consumers deduplicate by.
    pub const EVENT_ID: &str = "event-id";
    /// Full record name of the payload.
    pub const EVENT_TYPE: &str = "event-type";
    /// When it happened, RFC 3339 in UTC.
    pub const OCCURRED_AT: &str = "occurred-at";
    /// W3C trace context of what caused it.
    pub const TRACEPARENT: &str = "traceparent";
    /// How often the event was replayed from a dead-letter topic; absent when never.
    pub const REPLAYS: &str = "replays";
}

/// The envelope of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Identity of the event, the same on every delivery.
    pub event_id: Uuid,
    /// Full record name of the payload.
    pub event_type: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// W3C trace context of what caused it, when that was traced.
    pub traceparent: Option<String>,
}

/// A message without a usable envelope: it came from no producer of ours.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("header {0} is missing or malformed")]
pub struct MalformedEnvelope(&'static str);

impl Envelope {
    /// The headers in which this envelope travels.
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (header::EVENT_ID, self.event_id.to_string()),
            (header::EVENT_TYPE, self.event_type.clone()),
            (header::OCCURRED_AT, self.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true)),
        ];
        headers.extend(self.traceparent.clone().map(|value| (header::TRACEPARENT, value)));
        headers
    }

    /// Reads an envelope; `find` returns a header's value.
    ///
    /// # Errors
    /// Names the header that is missing or malformed.
    pub fn from_headers<'a>(find: impl Fn(&str) -> Option<&'a str>) -> Result<Self, MalformedEnvelope> {
        let required = |name: &'static str| find(name).ok_or(MalformedEnvelope(name));
        Ok(Self {
            event_id: required(header::EVENT_ID)?.parse().or(Err(MalformedEnvelope(header::EVENT_ID)))?,
            event_type: required(header::EVENT_TYPE)?.to_owned(),
            occurred_at: required(header::OCCURRED_AT)?
                .parse()
                .or(Err(MalformedEnvelope(header::OCCURRED_AT)))?,
            traceparent: find(header::TRACEPARENT).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_survives_its_headers() {
        let envelope = Envelope {
            event_id: Uuid::now_v7(),
            event_type: "muster.orders.OrderPlaced".to_owned(),
            occurred_at: DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap(),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        };
        let headers = envelope.to_headers();
        let find = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        assert_eq!(Envelope::from_headers(find), Ok(envelope));
    }

    #[test]
    fn a_missing_header_is_named() {
        assert_eq!(Envelope::from_headers(|_| None), Err(MalformedEnvelope(header::EVENT_ID)));
    }
}
