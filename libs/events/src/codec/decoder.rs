//! Decoder for consumers: resolves the schema of the writer into that of the reader.

use std::sync::{Arc, OnceLock};

use apache_avro::{from_value, reader::datum::GenericDatumReader};
use thiserror::Error;

use super::{
    MAGIC, PREFIX_LEN,
    lookups::{Lookups, Writer},
};
use crate::{Event, EventType, Registry, RegistryError, retry::until_available};

/// Decodes events. Clones share the cache of schemas.
#[derive(Clone, Debug)]
pub struct Decoder {
    lookups: Lookups,
    topic: Option<Topic>,
}

/// The topic of the events.
#[derive(Clone, Debug)]
struct Topic {
    name: Arc<str>,
    /// Set when the registry has verified the schemas of the reader.
    verified: Arc<OnceLock<()>>,
}

/// Why a payload was not decoded. Payloads that wait for the same lookup share its error.
#[derive(Clone, Debug, Error)]
pub enum DecodeError {
    /// The writer's schema cannot be fetched now: retry later.
    #[error("the writer's schema cannot be fetched")]
    Unavailable(#[source] Arc<RegistryError>),
    /// Too many schemas were looked up in the last second: retry later.
    #[error("the writer's schema is looked up later, because the lookups of this second are used up")]
    TooManyLookups,
    /// The registry has not been reached since start-up: retry later.
    #[error("the registry has not verified the schemas of this consumer yet")]
    NotVerified,
    /// The schema id of the payload is not registered.
    #[error("the payload names a schema that the registry does not know")]
    UnknownSchema(#[source] Arc<RegistryError>),
    /// The payload is not in Confluent wire format.
    #[error("the payload is not in Confluent wire format")]
    Framing,
    /// The payload has bytes after the event.
    #[error("the payload has {0} bytes behind the end of the event")]
    TrailingBytes(usize),
    /// The payload cannot be read as the requested event.
    #[error("the payload cannot be read as {0}")]
    Mismatch(&'static str, #[source] Arc<apache_avro::Error>),
}

impl DecodeError {
    /// Whether the same payload may be decoded later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TooManyLookups | Self::NotVerified)
    }
}

impl Decoder {
    /// Makes a decoder that fetches schemas from `registry`.
    pub fn new(registry: Registry) -> Self {
        Self { lookups: Lookups::new(registry), topic: None }
    }

    /// Sets the topic of the events. It then decodes nothing before [`verify`](Self::verify) has returned. An unknown id is an
    /// error of the payload only if the registry has the schema of the event under the subject of this topic. Otherwise the
    /// registry was restored without its schemas or from an old copy, and the error is transient.
    #[must_use]
    pub fn of_topic(self, topic: &str) -> Self {
        Self { topic: Some(Topic { name: topic.into(), verified: Arc::default() }), ..self }
    }

    /// Checks that the schemas of `types` read every version that the registry has, with retries until it answers.
    ///
    /// # Errors
    /// The registry has a version that a schema cannot read. The program must not run: it would make dead letters of these events.
    pub async fn verify(&self, types: &[&'static EventType]) -> Result<(), RegistryError> {
        let Some(topic) = &self.topic else { return Ok(()) };
        for event_type in types {
            let subject = event_type.subject(&topic.name);
            // A missing login or the refusal of a proxy is no conflict: the consumer waits, as it does while the registry is down.
            let verify = || self.lookups.registry().verify(&subject, event_type.text);
            until_available(verify, |error| !error.is_conflict()).await?;
        }
        topic.verified.get_or_init(|| ());
        Ok(())
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
            .map_err(|error| DecodeError::Mismatch(reader.name, Arc::new(error)))?;
        if !datum.is_empty() {
            return Err(DecodeError::TrailingBytes(datum.len()));
        }
        from_value(&value).map_err(|error| DecodeError::Mismatch(reader.name, Arc::new(error)))
    }

    async fn writer(&self, id: u32, reader: &'static EventType) -> Result<Arc<Writer>, DecodeError> {
        let is_verified = self.topic.as_ref().is_none_or(|topic| topic.verified.get().is_some());
        if !is_verified {
            return Err(DecodeError::NotVerified);
        }
        let topic = self.topic.as_ref().map(|topic| &topic.name);
        self.lookups.writer(id, reader, topic).await
    }
}
