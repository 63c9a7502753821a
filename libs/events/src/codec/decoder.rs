//! The consumer's side: what was written with the writer's schema is read as this program's.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use apache_avro::{Schema, from_value, reader::datum::GenericDatumReader};
use thiserror::Error;

use super::{MAGIC, PREFIX_LEN};
use crate::{Event, EventType, Registry, RegistryError};

/// Answers of the registry kept in memory. Beyond that somebody registers schemas in a loop, or writes garbage, and what is
/// known is asked for anew.
const MAX_KNOWN: usize = 1_000;

/// How long it is remembered that the registry does not know an id: short, for a restored registry learns it again.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// Decodes events. Clones share what is known of the writers.
#[derive(Clone, Debug)]
pub struct Decoder {
    registry: Registry,
    topic: Option<Arc<str>>,
    /// By schema id and by the name of the type that is read.
    known: Arc<RwLock<HashMap<(u32, &'static str), Known>>>,
}

/// What the registry said about an id. A time-out or a refusal says nothing, so it is not here.
#[derive(Clone, Debug)]
enum Known {
    Writer(Arc<Writer>),
    Unknown { since: Instant },
}

/// The schema of a writer.
#[derive(Debug)]
struct Writer {
    schema: Schema,
    /// It is the reader's own, so there is nothing to resolve.
    is_readers: bool,
}

/// Why a payload was not decoded.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The writer's schema cannot be fetched now: try again later.
    #[error("the writer's schema cannot be fetched")]
    Unavailable(#[source] RegistryError),
    /// Nobody registered the schema id that the payload names.
    #[error("the payload names a schema that the registry does not know")]
    UnknownSchema(#[source] RegistryError),
    /// The payload is not in Confluent wire format.
    #[error("the payload is not in Confluent wire format")]
    Framing,
    /// The payload goes on behind the event.
    #[error("the payload has {0} bytes behind the end of the event")]
    TrailingBytes(usize),
    /// The payload cannot be read as the event asked for.
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
    /// Makes a decoder that asks `registry` for the schemas it meets.
    pub fn new(registry: Registry) -> Self {
        Self { registry, topic: None, known: Arc::default() }
    }

    /// Says of which topic the events are. An id that the registry does not know is then the payload's fault only if the
    /// registry has the released schema of the event, under this topic's subject; otherwise it was restored without its
    /// schemas, or from too old a copy, and what it does not know says nothing.
    #[must_use]
    pub fn of_topic(self, topic: &str) -> Self {
        Self { topic: Some(topic.into()), ..self }
    }

    /// Decodes a payload as `E`, whichever compatible version it was written with.
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
        match self.lookup((id, reader.name)) {
            Some(Known::Writer(writer)) => return Ok(writer),
            Some(Known::Unknown { since }) if since.elapsed() < UNKNOWN_FOR => return Err(unknown()),
            Some(Known::Unknown { .. }) | None => {}
        }
        // Whatever else the registry answers (a missing login, a proxy's refusal) says nothing about the payload.
        let text = match self.registry.schema(id).await {
            Ok(text) => text,
            Err(RegistryError::Unknown(_)) => {
                self.require_own_schema(reader).await?;
                self.remember((id, reader.name), Known::Unknown { since: Instant::now() });
                return Err(unknown());
            }
            Err(other) => return Err(DecodeError::Unavailable(other)),
        };
        let schema = Schema::parse_str(&text)
            .map_err(|error| DecodeError::Mismatch("an Avro schema", Box::new(error)))?;
        let writer = Arc::new(Writer { is_readers: schema == reader.schema, schema });
        self.remember((id, reader.name), Known::Writer(Arc::clone(&writer)));
        Ok(writer)
    }

    /// Fails when the registry does not have what was released.
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

    fn lookup(&self, key: (u32, &'static str)) -> Option<Known> {
        self.known.read().expect("no panic under this lock").get(&key).cloned()
    }

    fn remember(&self, key: (u32, &'static str), what: Known) {
        let mut known = self.known.write().expect("no panic under this lock");
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key, what);
    }
}
