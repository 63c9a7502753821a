//! Single-flight cache with early refresh.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, timeout},
};

use crate::{
    metrics::Metrics,
    store::{Entry, Error, InFlight, Key, Outcome, Store},
};

/// How long a failed load stays in flight, in milliseconds: meanwhile its key gets the same failure. One random pause is not a
/// backoff, so it is drawn here.
const FAILURE_PAUSE_MS: std::ops::RangeInclusive<u64> = 50..=150;

/// Bounds of a cache.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The label of its metrics.
    pub name: &'static str,

    /// Maximum number of values.
    pub capacity: u64,

    /// Maximum age of a served value, from the beginning of its load. A load that takes longer fails.
    pub max_age: Duration,

    /// Maximum number of keys without a value. They have their own capacity, so they never displace a value.
    pub absent_capacity: u64,

    /// Maximum age of the absence of a value.
    pub absent_max_age: Duration,

    /// Maximum number of in-flight loads. The maximum number of requests in flight is enough.
    pub max_loads: usize,

    /// Time limit of a load.
    pub load_timeout: Duration,
}

type Load<K, V, E> = dyn Fn(K) -> BoxFuture<'static, Result<Option<V>, E>> + Send + Sync;

/// A cache of one process in front of a store. Clones share it.
pub struct Cache<K, V, E>(Arc<Inner<K, V, E>>);

struct Inner<K, V, E> {
    store: Store<K, V, E>,
    load: Box<Load<K, V, E>>,
    settings: Settings,
    permits: Arc<Semaphore>,
    runtime: Handle,
    metrics: Metrics,
}

impl<K, V, E> Cache<K, V, E>
where
    K: Key,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// Makes an empty cache. `load` reads the value of a key from the store; the deadline of a caller does not apply to it. Loads
    /// run in the runtime that calls this function, which must outlive requests.
    pub fn new<F, Fut>(settings: Settings, load: F) -> Self
    where
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
    {
        Self(Arc::new(Inner {
            store: Store::new(
                (settings.capacity, settings.max_age),
                (settings.absent_capacity, settings.absent_max_age),
            ),
            load: Box::new(move |key| Box::pin(load(key))),
            permits: Arc::new(Semaphore::new(settings.max_loads)),
            runtime: Handle::current(),
            metrics: Metrics::of(settings.name),
            settings,
        }))
    }

    /// Returns the value of a key, or `None` without a value, at most as old as the settings allow.
    ///
    /// Dropping the future ends the wait, not the load.
    pub async fn get(&self, key: &K) -> Result<Option<V>, Error<E>> {
        let Inner { store, metrics, .. } = &*self.0;
        let now = Instant::now();
        if let Some(entry) = store.find(key, now) {
            if entry.claim_refresh(now) {
                self.refresh(key);
            }
            let value = entry.value().cloned();
            (if value.is_some() { &metrics.hit } else { &metrics.negative_hit }).inc();
            return Ok(value);
        }
        let (answer, is_first) = match self.join(key) {
            Ok((in_flight, is_first)) => (wait(in_flight).await, is_first),
            Err(error) => (Err(error), true),
        };
        let outcome = match (&answer, is_first) {
            (Err(_), _) => &metrics.failed,
            (Ok(_), true) => &metrics.miss,
            (Ok(_), false) => &metrics.coalesced,
        };
        outcome.inc();
        answer
    }

    /// Removes a key. Call it after a change in the store and before the response. Later calls of [`get`](Self::get) start a new
    /// load.
    pub fn invalidate(&self, key: &K) {
        self.0.store.invalidate(key);
    }

    /// Invalidates a key at the end of the scope of a write. A write with an unknown outcome, or one that is cancelled, may have
    /// changed the store.
    pub fn invalidate_on_drop(&self, key: K) -> Invalidation<'_, K, V, E> {
        Invalidation { cache: self, key }
    }

    /// Starts a load while the entry is still served.
    fn refresh(&self, key: &K) {
        // Without a permit the refresh is tried again later; finally it is a miss.
        if let Ok((_, true)) = self.join(key) {
            self.0.metrics.refreshes.inc();
        }
    }

    /// Joins the in-flight load of a key or starts one; returns whether it started.
    fn join(&self, key: &K) -> Result<(InFlight<V, E>, bool), Error<E>> {
        let mut new = None;
        let joined = self.0.store.join(key, || {
            let permit = Arc::clone(&self.0.permits).try_acquire_owned();
            let Ok(permit) = permit else { return Err(Error::Overloaded) };
            let (announce, in_flight) = watch::channel(None);
            new = Some(LoadTask {
                cache: self.clone(),
                key: key.clone(),
                in_flight: in_flight.clone(),
                announce,
                _permit: permit,
            });
            Ok(in_flight)
        });
        if let Some(task) = new {
            self.0.runtime.spawn(task.run());
        }
        joined
    }
}

impl<K, V, E> Clone for Cache<K, V, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

async fn wait<V: Clone, E>(mut in_flight: InFlight<V, E>) -> Result<Option<V>, Error<E>> {
    let outcome = match in_flight.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone(),
        Err(_) => None,
    };
    let entry = outcome.unwrap_or(Err(Error::Lost))?;
    if entry.is_fresh(Instant::now()) { Ok(entry.value().cloned()) } else { Err(Error::TooSlow) }
}

/// The task of a load. Dropping it ends the load, even after a panic.
struct LoadTask<K: Key, V: Send + Sync + 'static, E> {
    cache: Cache<K, V, E>,
    key: K,
    in_flight: InFlight<V, E>,
    announce: watch::Sender<Option<Outcome<V, E>>>,
    _permit: OwnedSemaphorePermit,
}

impl<K, V, E> LoadTask<K, V, E>
where
    K: Key,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    async fn run(self) {
        let Inner { store, metrics, .. } = &*self.cache.0;
        let outcome = self.load().await;
        let has_failed = outcome.is_err();
        if let Ok(entry) = &outcome {
            if !store.insert(&self.key, &self.in_flight, entry) {
                metrics.stale_loads_rejected.inc();
            }
            metrics.entries.set(i64::try_from(store.len()).unwrap_or(i64::MAX));
        }
        self.announce.send_replace(Some(outcome));
        if has_failed {
            sleep(Duration::from_millis(rand::random_range(FAILURE_PAUSE_MS))).await;
        }
    }

    async fn load(&self) -> Outcome<V, E> {
        let Inner { load, settings, .. } = &*self.cache.0;
        let read_at = Instant::now();
        let limit = settings.load_timeout.min(settings.max_age);
        match timeout(limit, load(self.key.clone())).await {
            Ok(Ok(value)) => {
                let lifetime = if value.is_some() { settings.max_age } else { settings.absent_max_age };
                let entry = Entry::new(value, read_at, lifetime);
                if entry.is_fresh(Instant::now()) { Ok(Arc::new(entry)) } else { Err(Error::TooSlow) }
            }
            Ok(Err(error)) => Err(Error::Load(Arc::new(error))),
            Err(_) => Err(Error::TooSlow),
        }
    }
}

impl<K: Key, V: Send + Sync + 'static, E> Drop for LoadTask<K, V, E> {
    fn drop(&mut self) {
        self.cache.0.store.end(&self.key, &self.in_flight);
    }
}

/// Invalidates a key on drop, see [`Cache::invalidate_on_drop`].
#[must_use = "it invalidates on drop"]
pub struct Invalidation<'a, K: Key, V: Send + Sync + 'static, E> {
    cache: &'a Cache<K, V, E>,
    key: K,
}

impl<K: Key, V: Send + Sync + 'static, E> Drop for Invalidation<'_, K, V, E> {
    fn drop(&mut self) {
        self.cache.0.store.invalidate(&self.key);
    }
}
