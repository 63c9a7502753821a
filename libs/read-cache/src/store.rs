//! What is known and what is being found out, and the fence between the two.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{sync::watch, time::Instant};

use crate::{Error, Settings, entry::Entry};

/// What a key has to be able to do.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// What came of a load.
pub(crate) type Outcome<V, E> = Result<Arc<Entry<V>>, Error<E>>;

/// A load in flight, as those see it who wait for it.
pub(crate) type Flight<V, E> = watch::Receiver<Option<Outcome<V, E>>>;

/// Entries and flights.
///
/// The fence: a result is kept only if its flight is still the one of its key, and an invalidation removes the flight together
/// with the entry, under one lock. So what a load read before an invalidation cannot come after it, nobody who asks after it
/// joins that load, and the fence takes no memory of its own. A hit does not take the lock.
pub(crate) struct Store<K, V, E> {
    present: moka::sync::Cache<K, Arc<Entry<V>>>,
    absent: moka::sync::Cache<K, Arc<Entry<V>>>,
    flights: Mutex<HashMap<K, Flight<V, E>>>,
}

impl<K: Key, V: Send + Sync + 'static, E> Store<K, V, E> {
    pub(crate) fn new(settings: &Settings) -> Self {
        // moka forgets them some time after they were put there, which is after they were read. It is for the memory only:
        // who may be served what is decided by `Entry::is_fresh`.
        let entries = |capacity, lifetime| {
            moka::sync::Cache::builder().max_capacity(capacity).time_to_live(lifetime).build()
        };
        Self {
            present: entries(settings.capacity, settings.max_age),
            absent: entries(settings.absent_capacity, settings.absent_max_age),
            flights: Mutex::default(),
        }
    }

    /// Returns what is known, if it may be served.
    pub(crate) fn find(&self, key: &K, now: Instant) -> Option<Arc<Entry<V>>> {
        let fresh = |entry: &Arc<Entry<V>>| entry.is_fresh(now);
        self.present.get(key).filter(fresh).or_else(|| self.absent.get(key).filter(fresh))
    }

    /// Returns the flight of a key, or else the one that `begin` makes, and whether it is that one.
    pub(crate) fn join<F>(&self, key: &K, begin: F) -> Result<(Flight<V, E>, bool), Error<E>>
    where
        F: FnOnce() -> Result<Flight<V, E>, Error<E>>,
    {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(key) {
            return Ok((flight.clone(), false));
        }
        let flight = begin()?;
        flights.insert(key.clone(), flight.clone());
        Ok((flight, true))
    }

    /// Keeps what a flight has brought; returns false when it must not, because the key was invalidated meanwhile.
    pub(crate) fn keep(&self, key: &K, flight: &Flight<V, E>, entry: &Arc<Entry<V>>) -> bool {
        let mut flights = self.lock();
        if !remove_if_current(&mut flights, key, flight) {
            return false;
        }
        let (put, remove) = if entry.value().is_some() {
            (&self.present, &self.absent)
        } else {
            (&self.absent, &self.present)
        };
        put.insert(key.clone(), Arc::clone(entry));
        remove.invalidate(key);
        true
    }

    /// Forgets a flight, unless its key has another one by now.
    pub(crate) fn end(&self, key: &K, flight: &Flight<V, E>) {
        remove_if_current(&mut self.lock(), key, flight);
    }

    /// Forgets all about a key.
    pub(crate) fn invalidate(&self, key: &K) {
        let mut flights = self.lock();
        flights.remove(key);
        self.present.invalidate(key);
        self.absent.invalidate(key);
    }

    /// Returns how many entries there are, about.
    pub(crate) fn len(&self) -> u64 {
        self.present.entry_count() + self.absent.entry_count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Flight<V, E>>> {
        self.flights.lock().expect("no panic under this lock")
    }
}

/// Removes a flight; returns false, and does nothing, when its key has another one or none.
fn remove_if_current<K: Key, V, E>(
    flights: &mut HashMap<K, Flight<V, E>>,
    key: &K,
    flight: &Flight<V, E>,
) -> bool {
    let is_current = flights.get(key).is_some_and(|current| current.same_channel(flight));
    if is_current {
        flights.remove(key);
    }
    is_current
}
