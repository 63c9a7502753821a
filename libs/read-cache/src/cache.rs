//! The cache: answers from memory, loads once, refreshes ahead.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, timeout},
};

use crate::{
    Error, Settings,
    entry::Entry,
    metrics::Metrics,
    store::{Flight, Key, Outcome, Store},
};

/// How long a failed load keeps its place, in milliseconds: meanwhile its key gets the same failure, and the store is left alone.
const FAILURE_PAUSE_MS: std::ops::RangeInclusive<u64> = 50..=150;

type Load<K, V, E> = dyn Fn(K) -> BoxFuture<'static, Result<Option<V>, E>> + Send + Sync;

/// A cache in this process in front of a store that knows better. Clones share it.
pub struct Cache<K, V, E>(Arc<Inner<K, V, E>>);

struct Inner<K, V, E> {
    store: Store<K, V, E>,
    load: Box<Load<K, V, E>>,
    settings: Settings,
    slots: Arc<Semaphore>,
    runtime: Handle,
    metrics: Metrics,
}

impl<K, V, E> Cache<K, V, E>
where
    K: Key,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// Makes an empty cache. `load` asks the store for what belongs to a key; a deadline around a caller does not reach it.
    ///
    /// Called inside the runtime in which the loads are to run: one that lives longer than any single request's.
    pub fn new<F, Fut>(settings: Settings, load: F) -> Self
    where
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
    {
        Self(Arc::new(Inner {
            store: Store::new(&settings),
            load: Box::new(move |key| Box::pin(load(key))),
            slots: Arc::new(Semaphore::new(settings.max_loads)),
            runtime: Handle::current(),
            metrics: Metrics::of(settings.name),
            settings,
        }))
    }

    /// Returns what belongs to a key, `None` when that is nothing: as it was no longer ago than the settings say.
    ///
    /// Dropping the future gives up the wait, and not the load.
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
            Ok((flight, is_first)) => (arrival(flight).await, is_first),
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

    /// Forgets what belongs to a key: to be called when it has changed in the store, and before anybody is told.
    ///
    /// Whoever asks from now on gets what a load reads that begins from now on.
    pub fn invalidate(&self, key: &K) {
        self.0.store.invalidate(key);
    }

    /// Has a key invalidated at the end of a scope: that of a write, however it ends. A failure whose outcome is not known may
    /// have changed the store, and so may a write that is cancelled while it waits.
    pub fn invalidate_on_drop(&self, key: K) -> Invalidation<'_, K, V, E> {
        Invalidation { cache: self, key }
    }

    /// Asks again before the entry is too old, while it is still served.
    fn refresh(&self, key: &K) {
        // Without a free slot there is no refresh. It will be tried again, and at last it is a miss.
        if let Ok((_, true)) = self.join(key) {
            self.0.metrics.refreshes.inc();
        }
    }

    /// Joins the load of a key, or begins it; returns whether it did that.
    fn join(&self, key: &K) -> Result<(Flight<V, E>, bool), Error<E>> {
        let mut ours = None;
        let joined = self.0.store.join(key, || {
            let slot = Arc::clone(&self.0.slots).try_acquire_owned();
            let Ok(slot) = slot else { return Err(Error::Overloaded) };
            let (announce, flight) = watch::channel(None);
            ours = Some(Ours {
                cache: self.clone(),
                key: key.clone(),
                flight: flight.clone(),
                announce,
                _slot: slot,
            });
            Ok(flight)
        });
        if let Some(ours) = ours {
            self.0.runtime.spawn(ours.fly());
        }
        joined
    }
}

impl<K, V, E> Clone for Cache<K, V, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Waits until a load has ended.
async fn arrival<V: Clone, E>(mut flight: Flight<V, E>) -> Result<Option<V>, Error<E>> {
    let outcome = match flight.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone(),
        Err(_) => None,
    };
    let entry = outcome.unwrap_or(Err(Error::Lost))?;
    if entry.is_fresh(Instant::now()) { Ok(entry.value().cloned()) } else { Err(Error::TooSlow) }
}

/// A load, from the side of the task that runs it. It ends with this value, whatever becomes of the task.
struct Ours<K: Key, V: Send + Sync + 'static, E> {
    cache: Cache<K, V, E>,
    key: K,
    flight: Flight<V, E>,
    announce: watch::Sender<Option<Outcome<V, E>>>,
    _slot: OwnedSemaphorePermit,
}

impl<K, V, E> Ours<K, V, E>
where
    K: Key,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    async fn fly(self) {
        let Inner { store, metrics, .. } = &*self.cache.0;
        let outcome = self.load().await;
        let has_failed = outcome.is_err();
        if let Ok(entry) = &outcome {
            if !store.keep(&self.key, &self.flight, entry) {
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
                let lifetime = settings.lifetime(value.as_ref());
                let entry = Entry::new(value, read_at, lifetime);
                if entry.is_fresh(Instant::now()) { Ok(Arc::new(entry)) } else { Err(Error::TooSlow) }
            }
            Ok(Err(error)) => Err(Error::Load(Arc::new(error))),
            Err(_) => Err(Error::TooSlow),
        }
    }
}

impl<K: Key, V: Send + Sync + 'static, E> Drop for Ours<K, V, E> {
    fn drop(&mut self) {
        self.cache.0.store.end(&self.key, &self.flight);
    }
}

/// Invalidates a key when it is dropped, see [`Cache::invalidate_on_drop`].
#[must_use = "it invalidates when it is dropped"]
pub struct Invalidation<'a, K: Key, V: Send + Sync + 'static, E> {
    cache: &'a Cache<K, V, E>,
    key: K,
}

impl<K: Key, V: Send + Sync + 'static, E> Drop for Invalidation<'_, K, V, E> {
    fn drop(&mut self) {
        self.cache.0.store.invalidate(&self.key);
    }
}
