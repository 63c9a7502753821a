//! Schemas of writers by their ids: looked up in the registry at a bounded rate, and cached.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use apache_avro::Schema;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;

use super::DecodeError;
use crate::{EventType, Registry, RegistryError, metrics::LOOKUPS};

/// Cached answers of the registry at most: a client may register schemas in a loop, or write garbage ids.
const MAX_CACHED: u64 = 1_000;

/// How long an unknown id is cached: short, because a restored registry learns it again.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// Lookups per second, and at once after a pause. Garbage ids must not become load of the registry, which other services need.
const RATE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Schema id and type name of the reader.
type Key = (u32, &'static str);

/// The schema of a writer.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) schema: Schema,
    /// It equals the schema of the reader, so nothing is resolved.
    pub(super) is_readers: bool,
}

/// Looks schemas up. Clones share the caches and the rate.
#[derive(Clone, Debug)]
pub(super) struct Lookups {
    pub(super) registry: Registry,
    limiter: Arc<DefaultDirectRateLimiter>,
    writers: Cache<Key, Arc<Writer>>,
    /// Ids that the registry does not know. A timeout or a refusal is not cached.
    unknown: Cache<Key, ()>,
}

impl Lookups {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            limiter: Arc::new(RateLimiter::direct(Quota::per_second(RATE))),
            writers: Cache::new(MAX_CACHED),
            unknown: Cache::builder().max_capacity(MAX_CACHED).time_to_live(UNKNOWN_FOR).build(),
        }
    }

    /// Returns the schema with this id. If the registry does not know it, that is an error of the payload only if the registry has
    /// the schema of the reader under the subject of `topic`.
    pub(super) async fn writer(
        &self,
        id: u32,
        reader: &'static EventType,
        topic: Option<&str>,
    ) -> Result<Arc<Writer>, DecodeError> {
        let key = (id, reader.name);
        if let Some(writer) = self.writers.get(&key) {
            return Ok(writer);
        }
        if self.unknown.contains_key(&key) {
            return Err(unknown(id));
        }
        if self.limiter.check().is_err() {
            count("limited");
            return Err(DecodeError::TooManyLookups);
        }
        let writer = self.look_up(key, reader, topic).await;
        count(match &writer {
            Err(DecodeError::Unavailable(_)) => "unavailable",
            Err(DecodeError::UnknownSchema(_)) => "unknown",
            _ => "found",
        });
        writer
    }

    async fn look_up(
        &self,
        key: Key,
        reader: &'static EventType,
        topic: Option<&str>,
    ) -> Result<Arc<Writer>, DecodeError> {
        // Other answers of the registry (a missing login, a proxy's refusal) are not errors of the payload.
        let text = match self.registry.schema(key.0).await {
            Ok(text) => text,
            Err(RegistryError::Unknown(_)) => {
                self.require_own_schema(reader, topic).await?;
                self.unknown.insert(key, ());
                return Err(unknown(key.0));
            }
            Err(other) => return Err(DecodeError::Unavailable(other)),
        };
        let schema = Schema::parse_str(&text)
            .map_err(|error| DecodeError::Mismatch("an Avro schema", Box::new(error)))?;
        let writer = Arc::new(Writer { is_readers: schema == reader.schema, schema });
        self.writers.insert(key, Arc::clone(&writer));
        Ok(writer)
    }

    /// Fails when the registry does not have the schema of the reader.
    async fn require_own_schema(
        &self,
        reader: &'static EventType,
        topic: Option<&str>,
    ) -> Result<(), DecodeError> {
        let Some(topic) = topic else { return Ok(()) };
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

fn unknown(id: u32) -> DecodeError {
    DecodeError::UnknownSchema(RegistryError::Unknown(format!("schema {id}")))
}

fn count(outcome: &str) {
    LOOKUPS.with_label_values(&[outcome]).inc();
}
