//! Encoder for producers: the schema id is fixed when an event is appended, not when it is published.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use apache_avro::writer::datum::GenericDatumWriter;
use thiserror::Error;

use super::{MAGIC, PREFIX_LEN};
use crate::{Event, EventType, Registry, RegistryError, retry::until_available};

/// Encodes the events of one topic. Clones share it.
#[derive(Clone, Debug)]
pub struct Encoder {
    topic: Arc<str>,
    ids: Arc<OnceLock<HashMap<&'static str, u32>>>,
}

/// Why an event cannot be encoded.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// The registry has not been reached since start-up, so the schema ids are not known yet.
    #[error("the schema ids of {0} are not known yet")]
    NotRegistered(String),
    /// The event does not match its schema: a bug.
    #[error("{0} does not fit its schema")]
    Mismatch(&'static str, #[source] Box<apache_avro::Error>),
}

impl Encoder {
    /// Makes an encoder for `topic` that cannot encode before [`register`](Self::register) has returned.
    pub fn new(topic: &str) -> Self {
        Self { topic: topic.into(), ids: Arc::default() }
    }

    /// Registers the schemas of `types`, with retries until the registry answers, and makes the encoder ready.
    ///
    /// # Errors
    /// The registry refuses a schema. The program must not run: its events would break consumers.
    pub async fn register(
        &self,
        registry: &Registry,
        types: &[&'static EventType],
    ) -> Result<(), RegistryError> {
        let mut ids = HashMap::new();
        for event_type in types {
            let subject = event_type.subject(&self.topic);
            let id =
                until_available(|| registry.register(&subject, event_type.text), RegistryError::is_transient)
                    .await?;
            ids.insert(event_type.name, id);
        }
        self.ids.get_or_init(|| ids);
        Ok(())
    }

    /// Whether events can be encoded.
    pub fn is_ready(&self) -> bool {
        self.ids.get().is_some()
    }

    /// The topic of this encoder's events.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Encodes an event.
    pub fn encode<E: Event>(&self, event: &E) -> Result<Vec<u8>, EncodeError> {
        let event_type = E::event_type();
        let not_registered = || EncodeError::NotRegistered(self.topic.to_string());
        let id = self.ids.get().and_then(|ids| ids.get(event_type.name)).ok_or_else(not_registered)?;
        let mut payload = Vec::with_capacity(PREFIX_LEN + 256);
        payload.push(MAGIC);
        payload.extend_from_slice(&id.to_be_bytes());
        GenericDatumWriter::builder(&event_type.schema)
            .build()
            .and_then(|writer| writer.write_ser(&mut payload, event))
            .map_err(|error| EncodeError::Mismatch(event_type.name, Box::new(error)))?;
        Ok(payload)
    }
}
