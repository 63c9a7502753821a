//! Schemas of writers by their ids: looked up in the registry at a bounded rate, and cached.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use apache_avro::Schema;
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
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

/// A lookup in progress, or its result. All who need it await the same one, and it goes on when one of them is cancelled.
type Lookup = Shared<BoxFuture<'static, Result<Arc<Writer>, DecodeError>>>;

/// The schema of a writer.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) schema: Schema,
    /// It equals the schema of the reader, so nothing is resolved.
    pub(super) is_readers: bool,
}

/// Looks schemas up, each once at a time. Clones share the caches and the rate.
#[derive(Clone, Debug)]
pub(super) struct Lookups {
    source: Source,
    writers: Cache<Key, Lookup>,
}

/// The registry, asked at a bounded rate.
#[derive(Clone, Debug)]
struct Source {
    registry: Registry,
    limiter: Arc<DefaultDirectRateLimiter>,
    /// Ids that the registry does not know. A timeout or a refusal is not cached.
    unknown: Cache<Key, ()>,
}

impl Lookups {
    pub(super) fn new(registry: Registry) -> Self {
        let source = Source {
            registry,
            limiter: Arc::new(RateLimiter::direct(Quota::per_second(RATE))),
            unknown: Cache::builder().max_capacity(MAX_CACHED).time_to_live(UNKNOWN_FOR).build(),
        };
        Self { source, writers: Cache::new(MAX_CACHED) }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.source.registry
    }

    /// Returns the schema with this id. If the registry does not know it, that is an error of the payload only if the registry has
    /// the schema of the reader under the subject of `topic`.
    pub(super) async fn writer(
        &self,
        id: u32,
        reader: &'static EventType,
        topic: Option<&Arc<str>>,
    ) -> Result<Arc<Writer>, DecodeError> {
        let key = (id, reader.name);
        let lookup = self.writers.get_with(key, || {
            let (source, topic) = (self.source.clone(), topic.cloned());
            async move { source.writer(key, reader, topic.as_deref()).await }.boxed().shared()
        });
        let writer = lookup.await;
        if writer.is_err() {
            self.writers.invalidate(&key);
        }
        writer
    }
}

impl Source {
    async fn writer(
        &self,
        key: Key,
        reader: &'static EventType,
        topic: Option<&str>,
    ) -> Result<Arc<Writer>, DecodeError> {
        if self.unknown.contains_key(&key) {
            return Err(unknown(key.0));
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
            Err(other) => return Err(DecodeError::Unavailable(Arc::new(other))),
        };
        let schema = Schema::parse_str(&text)
            .map_err(|error| DecodeError::Mismatch("an Avro schema", Arc::new(error)))?;
        Ok(Arc::new(Writer { is_readers: schema == reader.schema, schema }))
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
                Err(DecodeError::Unavailable(Arc::new(RegistryError::Unavailable(missing.into()))))
            }
            Err(other) => Err(DecodeError::Unavailable(Arc::new(other))),
        }
    }
}

fn unknown(id: u32) -> DecodeError {
    DecodeError::UnknownSchema(Arc::new(RegistryError::Unknown(format!("schema {id}"))))
}

fn count(outcome: &str) {
    LOOKUPS.with_label_values(&[outcome]).inc();
}
