//! Cached entries and in-flight loads, and the fence between them.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// The share of its lifetime after which an entry is refreshed, random for each entry, so that entries of one time are not
/// refreshed together. A share of a lifetime is not a backoff, so it is drawn here.
const REFRESH_AFTER: std::ops::Range<f64> = 0.7..0.9;

/// A failed refresh is tried again after this fraction of the lifetime.
const REFRESH_AGAIN: u32 = 20;

/// Bounds of a key.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// Why a key could not be loaded. `E` is the error of the load.
#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    /// The load failed. All its waiters get this error.
    #[error("the load failed")]
    Load(#[source] Arc<E>),

    /// The load exceeded its timeout, or its result was older than the maximum age.
    #[error("the load took too long")]
    TooSlow,

    /// Too many loads are in flight; no load was started. Retry later.
    #[error("too many loads are in flight")]
    Overloaded,

    /// The load ended without a result: it panicked, or its runtime ended.
    #[error("the load ended without a result")]
    Lost,
}

/// A derived implementation would require `E: Clone`.
impl<E> Clone for Error<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Load(error) => Self::Load(Arc::clone(error)),
            Self::TooSlow => Self::TooSlow,
            Self::Overloaded => Self::Overloaded,
            Self::Lost => Self::Lost,
        }
    }
}

/// The result of a load.
pub(crate) type Outcome<V, E> = Result<Arc<Entry<V>>, Error<E>>;

/// The receiver of an in-flight load, for its waiters.
pub(crate) type InFlight<V, E> = watch::Receiver<Option<Outcome<V, E>>>;

/// Entries and in-flight loads.
///
/// The fence: a result is stored only if its load is still the current one of its key, and an invalidation removes the load
/// together with the entry, under one lock. So a load that began before an invalidation cannot store its result after it, and
/// later callers do not join it. The fence needs no memory. A hit does not take the lock.
pub(crate) struct Store<K, V, E> {
    present: moka::sync::Cache<K, Arc<Entry<V>>>,
    absent: moka::sync::Cache<K, Arc<Entry<V>>>,
    loads: Mutex<HashMap<K, InFlight<V, E>>>,
}

impl<K: Key, V: Send + Sync + 'static, E> Store<K, V, E> {
    pub(crate) fn new(present: (u64, Duration), absent: (u64, Duration)) -> Self {
        // moka counts the time from the insertion, which is after the read. It only frees memory: `Entry::is_fresh` decides
        // what is served.
        let entries = |(capacity, lifetime)| {
            moka::sync::Cache::builder().max_capacity(capacity).time_to_live(lifetime).build()
        };
        Self { present: entries(present), absent: entries(absent), loads: Mutex::default() }
    }

    pub(crate) fn find(&self, key: &K, now: Instant) -> Option<Arc<Entry<V>>> {
        let fresh = |entry: &Arc<Entry<V>>| entry.is_fresh(now);
        self.present.get(key).filter(fresh).or_else(|| self.absent.get(key).filter(fresh))
    }

    /// Returns the in-flight load of a key, or the one that `begin` makes, and whether it is new.
    pub(crate) fn join<F>(&self, key: &K, begin: F) -> Result<(InFlight<V, E>, bool), Error<E>>
    where
        F: FnOnce() -> Result<InFlight<V, E>, Error<E>>,
    {
        let mut loads = self.lock();
        if let Some(load) = loads.get(key) {
            return Ok((load.clone(), false));
        }
        let load = begin()?;
        loads.insert(key.clone(), load.clone());
        Ok((load, true))
    }

    /// Stores the result of a load; `false` when the key was invalidated meanwhile.
    pub(crate) fn insert(&self, key: &K, load: &InFlight<V, E>, entry: &Arc<Entry<V>>) -> bool {
        let mut loads = self.lock();
        if !remove_if_current(&mut loads, key, load) {
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

    /// Removes a load, unless its key has another one.
    pub(crate) fn end(&self, key: &K, load: &InFlight<V, E>) {
        remove_if_current(&mut self.lock(), key, load);
    }

    /// Removes the entry and the load of a key.
    pub(crate) fn invalidate(&self, key: &K) {
        let mut loads = self.lock();
        loads.remove(key);
        self.present.invalidate(key);
        self.absent.invalidate(key);
    }

    pub(crate) fn len(&self) -> u64 {
        self.present.entry_count() + self.absent.entry_count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, InFlight<V, E>>> {
        self.loads.lock().expect("no panic under this lock")
    }
}

/// Removes a load; `false` when its key has another one or none.
fn remove_if_current<K: Key, V, E>(
    loads: &mut HashMap<K, InFlight<V, E>>,
    key: &K,
    load: &InFlight<V, E>,
) -> bool {
    let is_current = loads.get(key).is_some_and(|current| current.same_channel(load));
    if is_current {
        loads.remove(key);
    }
    is_current
}

/// A cached value, or the absence of one.
pub(crate) struct Entry<V> {
    value: Option<V>,
    /// The beginning of the load.
    read_at: Instant,
    lifetime: Duration,
    /// The age of the next refresh, in microseconds.
    refresh_due: AtomicU64,
}

impl<V> Entry<V> {
    pub(crate) fn new(value: Option<V>, read_at: Instant, lifetime: Duration) -> Self {
        let refresh_due = micros(lifetime.mul_f64(rand::random_range(REFRESH_AFTER)));
        Self { value, read_at, lifetime, refresh_due: AtomicU64::new(refresh_due) }
    }

    pub(crate) fn value(&self) -> Option<&V> {
        self.value.as_ref()
    }

    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read_at) < self.lifetime
    }

    /// Whether a refresh is due; `true` for one caller only.
    pub(crate) fn claim_refresh(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.read_at);
        let due = self.refresh_due.load(Ordering::Relaxed);
        if micros(age) < due {
            return false;
        }
        let again = micros(age + self.lifetime / REFRESH_AGAIN);
        self.refresh_due.compare_exchange(due, again, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
