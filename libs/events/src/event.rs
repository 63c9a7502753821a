//! What makes a Rust type an event.

use apache_avro::Schema;
use serde::{Serialize, de::DeserializeOwned};

/// A type of event: its name and the schema with which this program writes and reads it.
#[derive(Debug)]
pub struct EventType {
    /// Full record name, `muster.orders.OrderPlaced`.
    pub name: &'static str,
    /// Parsed from the newest released file.
    pub schema: Schema,
    /// The newest released file as it is.
    pub(crate) text: &'static str,
}

impl EventType {
    /// Parses a released schema file.
    ///
    /// # Panics
    /// On text that is not the schema of a named record; the texts are compiled in and a test parses each.
    pub(crate) fn released(text: &'static str, name: &'static str) -> Self {
        let schema = Schema::parse_str(text).expect("a released schema parses");
        assert_eq!(schema.name().map(ToString::to_string).as_deref(), Some(name));
        Self { name, schema, text }
    }

    /// The subject under which the registry keeps this type's versions for `topic` (`TopicRecordNameStrategy`).
    pub fn subject(&self, topic: &str) -> String {
        format!("{topic}-{}", self.name)
    }
}

/// An event that can be written to and read from a topic.
pub trait Event: Serialize + DeserializeOwned + Send + Sync {
    /// The event's type.
    fn event_type() -> &'static EventType;
}
