//! The consumer's side: what was written with the writer's schema is read as this program's.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use apache_avro::{Schema, from_value, reader::datum::GenericDatumReader};
use thiserror::Error;

use super::{MAGIC, PREFIX_LEN};
use crate::{Event, Registry, RegistryError};

/// Writer schemas kept in memory. Beyond that somebody registers schemas in a loop, and the oldest knowledge goes.
const MAX_SCHEMAS: usize = 1_000;

/// Decodes events. Clones share the writer schemas.
#[derive(Clone, Debug)]
pub struct Decoder {
    registry: Registry,
    schemas: Arc<RwLock<HashMap<u32, Arc<Schema>>>>,
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
        Self { registry, schemas: Arc::default() }
    }

    /// Decodes a payload as `E`, whichever compatible version it was written with.
    pub async fn decode<E: Event>(&self, payload: &[u8]) -> Result<E, DecodeError> {
        let (prefix, mut datum) = payload.split_at_checked(PREFIX_LEN).ok_or(DecodeError::Framing)?;
        let [MAGIC, id @ ..] = prefix else { return Err(DecodeError::Framing) };
        let id = u32::from_be_bytes(id.try_into().or(Err(DecodeError::Framing))?);
        let writer = self.writer_schema(id).await?;
        let reader = E::event_type();
        GenericDatumReader::builder(&writer)
            .reader_schema(&reader.schema)
            .build()
            .and_then(|datum_reader| datum_reader.read_value(&mut datum))
            .and_then(|value| from_value(&value))
            .map_err(|error| DecodeError::Mismatch(reader.name, Box::new(error)))
    }

    async fn writer_schema(&self, id: u32) -> Result<Arc<Schema>, DecodeError> {
        if let Some(schema) = self.schemas.read().expect("no panic under this lock").get(&id) {
            return Ok(Arc::clone(schema));
        }
        // Whatever else the registry answers (a missing login, a proxy's refusal) says nothing about the payload.
        let text = self.registry.schema(id).await.map_err(|error| match error {
            RegistryError::Unknown(_) => DecodeError::UnknownSchema(error),
            other => DecodeError::Unavailable(other),
        })?;
        let schema = Schema::parse_str(&text)
            .map_err(|error| DecodeError::Mismatch("an Avro schema", Box::new(error)))?;
        let schema = Arc::new(schema);
        let mut schemas = self.schemas.write().expect("no panic under this lock");
        if schemas.len() >= MAX_SCHEMAS {
            schemas.clear();
        }
        schemas.insert(id, Arc::clone(&schema));
        Ok(schema)
    }
}
