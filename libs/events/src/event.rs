//! Event types and the envelope of an event, which travels in the headers of its message.

use apache_avro::Schema;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, de::DeserializeOwned};
use telemetry::trace::Propagation;
use thiserror::Error;
use uuid::Uuid;

/// The name and the schema of an event type.
#[derive(Debug)]
pub struct EventType {
    /// Full record name, `muster.orders.OrderPlaced`.
    pub name: &'static str,
    /// The schema of the code: the newest released one, or the one that the next release adds.
    pub schema: Schema,
    /// The text of that schema.
    pub(crate) text: &'static str,
}

impl EventType {
    /// Parses a schema that is compiled in.
    ///
    /// # Panics
    /// The text is not the schema of a record with this name. A test parses each schema of this library.
    pub fn new(text: &'static str, name: &'static str) -> Self {
        let schema = Schema::parse_str(text).expect("the schema parses");
        assert_eq!(schema.name().map(ToString::to_string).as_deref(), Some(name));
        Self { name, schema, text }
    }

    /// The subject of this type in the registry for `topic` (`TopicRecordNameStrategy`).
    pub fn subject(&self, topic: &str) -> String {
        format!("{topic}-{}", self.name)
    }
}

/// An event that can be written to and read from a topic.
pub trait Event: Serialize + DeserializeOwned + Send + Sync {
    /// The event's type.
    fn event_type() -> &'static EventType;
}

/// Ties Rust types to their schemas in the directory of their aggregate.
macro_rules! events {
    ($aggregate:literal; $($type:ident = $file:literal;)+) => {$(
        impl $crate::Event for $type {
            fn event_type() -> &'static $crate::EventType {
                static TYPE: std::sync::LazyLock<$crate::EventType> = std::sync::LazyLock::new(|| {
                    $crate::EventType::new(
                        include_str!(concat!("../schemas/", $aggregate, "/", $file)),
                        concat!("muster.", $aggregate, ".", stringify!($type)),
                    )
                });
                &TYPE
            }
        }
    )+};
}
pub(crate) use events;

/// Names of the headers, beside those of [`Propagation`].
pub mod header {
    /// Event id (UUIDv7), the same on every delivery, for deduplication.
    pub const EVENT_ID: &str = "event-id";
    /// Full record name of the payload.
    pub const EVENT_TYPE: &str = "event-type";
    /// Time of the event, RFC 3339 in UTC.
    pub const OCCURRED_AT: &str = "occurred-at";
    /// Number of replays from a dead-letter topic; absent without a replay.
    pub const REPLAYS: &str = "replays";
}

/// The envelope of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Event id, the same on every delivery.
    pub event_id: Uuid,
    /// Full record name of the payload.
    pub event_type: String,
    /// Time of the event.
    pub occurred_at: DateTime<Utc>,
    /// Trace and baggage of the cause.
    pub propagation: Propagation,
}

/// A message without a valid envelope.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("header {0} is missing or malformed")]
pub struct MalformedEnvelope(&'static str);

impl Envelope {
    /// Returns the headers of this envelope.
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (header::EVENT_ID, self.event_id.to_string()),
            (header::EVENT_TYPE, self.event_type.clone()),
            (header::OCCURRED_AT, self.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true)),
        ];
        headers.extend(self.propagation.to_headers().map(|(name, value)| (name, value.to_owned())));
        headers
    }

    /// Parses an envelope; `find` returns the value of a header.
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
            propagation: Propagation::from_headers(|name| find(name).map(str::to_owned)),
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
            propagation: Propagation {
                traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
                tracestate: Some("vendor=opaque,other=1".to_owned()),
                baggage: Some("k=a=b;prop=1,x=%20y".to_owned()),
            },
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
