//! Decoder for consumers: resolves the schema of the writer into that of the reader.

use std::{sync::Arc, time::Duration};

use apache_avro::{Schema, from_value, reader::datum::GenericDatumReader};
use moka::sync::Cache;
use thiserror::Error;

use super::{MAGIC, PREFIX_LEN};
use crate::{Event, EventType, Registry, RegistryError};

/// Cached answers of the registry at most: a client may register schemas in a loop, or write garbage ids.
const MAX_CACHED: u64 = 1_000;

/// How long an unknown id is cached: short, because a restored registry learns it again.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// Decodes events. Clones share the cache of schemas.
#[derive(Clone, Debug)]
pub struct Decoder {
    registry: Registry,
    topic: Option<Arc<str>>,
    writers: Cache<Key, Arc<Writer>>,
    /// Ids that the registry does not know. A timeout or a refusal is not cached.
    unknown: Cache<Key, ()>,
}

/// Schema id and type name of the reader.
type Key = (u32, &'static str);

/// The schema of a writer.
#[derive(Debug)]
struct Writer {
    schema: Schema,
    /// It equals the schema of the reader, so nothing is resolved.
    is_readers: bool,
}

/// Why a payload was not decoded.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The writer's schema cannot be fetched now: retry later.
    #[error("the writer's schema cannot be fetched")]
    Unavailable(#[source] RegistryError),
    /// The schema id of the payload is not registered.
    #[error("the payload names a schema that the registry does not know")]
    UnknownSchema(#[source] RegistryError),
    /// The payload is not in Confluent wire format.
    #[error("the payload is not in Confluent wire format")]
    Framing,
    /// The payload has bytes after the event.
    #[error("the payload has {0} bytes behind the end of the event")]
    TrailingBytes(usize),
    /// The payload cannot be read as the requested event.
    #[error("the payload cannot be read as {0}")]
    Mismatch(&'static str, #[source] Box<apache_avro::Error>),
}

impl DecodeError {
    /// Whether the same payload may be decoded later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl Decoder {
    /// Makes a decoder that fetches schemas from `registry`.
    pub fn new(registry: Registry) -> Self {
        let unknown = Cache::builder().max_capacity(MAX_CACHED).time_to_live(UNKNOWN_FOR).build();
        Self { registry, topic: None, writers: Cache::new(MAX_CACHED), unknown }
    }

    /// Sets the topic of the events. An unknown id is then an error of the payload only if the registry has the released schema
    /// of the event under the subject of this topic. Otherwise the registry was restored without its schemas or from an old
    /// copy, and the error is transient.
    #[must_use]
    pub fn of_topic(self, topic: &str) -> Self {
        Self { topic: Some(topic.into()), ..self }
    }

    /// Decodes a payload of any compatible version as `E`.
    pub async fn decode<E: Event>(&self, payload: &[u8]) -> Result<E, DecodeError> {
        let (prefix, mut datum) = payload.split_at_checked(PREFIX_LEN).ok_or(DecodeError::Framing)?;
        let [MAGIC, id @ ..] = prefix else { return Err(DecodeError::Framing) };
        let id = u32::from_be_bytes(id.try_into().or(Err(DecodeError::Framing))?);
        let reader = E::event_type();
        let writer = self.writer(id, reader).await?;
        let value = GenericDatumReader::builder(&writer.schema)
            .maybe_reader_schema((!writer.is_readers).then_some(&reader.schema))
            .build()
            .and_then(|datum_reader| datum_reader.read_value(&mut datum))
            .map_err(|error| DecodeError::Mismatch(reader.name, Box::new(error)))?;
        if !datum.is_empty() {
            return Err(DecodeError::TrailingBytes(datum.len()));
        }
        from_value(&value).map_err(|error| DecodeError::Mismatch(reader.name, Box::new(error)))
    }

    async fn writer(&self, id: u32, reader: &'static EventType) -> Result<Arc<Writer>, DecodeError> {
        let unknown = || DecodeError::UnknownSchema(RegistryError::Unknown(format!("schema {id}")));
        let key = (id, reader.name);
        if let Some(writer) = self.writers.get(&key) {
            return Ok(writer);
        }
        if self.unknown.contains_key(&key) {
            return Err(unknown());
        }
        // Other answers of the registry (a missing login, a proxy's refusal) are not errors of the payload.
        let text = match self.registry.schema(id).await {
            Ok(text) => text,
            Err(RegistryError::Unknown(_)) => {
                self.require_own_schema(reader).await?;
                self.unknown.insert(key, ());
                return Err(unknown());
            }
            Err(other) => return Err(DecodeError::Unavailable(other)),
        };
        let schema = Schema::parse_str(&text)
            .map_err(|error| DecodeError::Mismatch("an Avro schema", Box::new(error)))?;
        let writer = Arc::new(Writer { is_readers: schema == reader.schema, schema });
        self.writers.insert(key, Arc::clone(&writer));
        Ok(writer)
    }

    /// Fails when the registry does not have the released schema.
    async fn require_own_schema(&self, reader: &'static EventType) -> Result<(), DecodeError> {
        let Some(topic) = &self.topic else { return Ok(()) };
        let subject = reader.subject(topic);
        match self.registry.find(&subject, reader.text).await {
            Ok(_id) => Ok(()),
            Err(RegistryError::Unknown(_)) => {
                let missing = format!("it does not have the released schema of {subject}");
                Err(DecodeError::Unavailable(RegistryError::Unavailable(missing.into())))
            }
            Err(other) => Err(DecodeError::Unavailable(other)),
        }
    }
}
