//! The store behind the cache, and a cache in front of it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus::proto::LabelPair;
use read_cache::{Cache, Settings};
use tokio::time::sleep;

/// Far longer than a test runs: what moka forgets by itself goes by the real clock, and must have no part in this.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(2_000);
pub(crate) const ABSENT_MAX_AGE: Duration = Duration::from_secs(1_000);
pub(crate) const LOAD_TIMEOUT: Duration = Duration::from_mins(25);

/// The source is down.
#[derive(Debug, thiserror::Error)]
#[error("the source is down")]
pub(crate) struct Down;

pub(crate) type TestCache = Cache<u32, u64, Down>;

/// Rows that take their time to read: a load reads first and is slow afterwards, as when an answer is slow to arrive.
#[derive(Default)]
pub(crate) struct Source {
    rows: Mutex<HashMap<u32, u64>>,
    latency: Mutex<Duration>,
    down: AtomicBool,
    n_loads: AtomicU64,
}

impl Source {
    pub(crate) fn set(&self, key: u32, value: u64) {
        self.rows.lock().unwrap().insert(key, value);
    }

    pub(crate) fn remove(&self, key: u32) {
        self.rows.lock().unwrap().remove(&key);
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        *self.latency.lock().unwrap() = latency;
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// Loads begun so far.
    pub(crate) fn n_loads(&self) -> u64 {
        self.n_loads.load(Ordering::Relaxed)
    }

    async fn read(&self, key: u32) -> Result<Option<u64>, Down> {
        self.n_loads.fetch_add(1, Ordering::Relaxed);
        let row = self.rows.lock().unwrap().get(&key).copied();
        let (latency, down) = (*self.latency.lock().unwrap(), self.down.load(Ordering::Relaxed));
        sleep(latency).await;
        if down { Err(Down) } else { Ok(row) }
    }
}

pub(crate) fn settings(name: &'static str) -> Settings {
    Settings {
        name,
        capacity: 1_000,
        max_age: MAX_AGE,
        absent_capacity: 100,
        absent_max_age: ABSENT_MAX_AGE,
        max_loads: 64,
        load_timeout: LOAD_TIMEOUT,
    }
}

/// A cache whose metrics have this name, and its source.
pub(crate) fn cached(name: &'static str) -> (TestCache, Arc<Source>) {
    cached_with(settings(name))
}

pub(crate) fn cached_with(settings: Settings) -> (TestCache, Arc<Source>) {
    let source = Arc::new(Source::default());
    let read = {
        let source = Arc::clone(&source);
        move |key| {
            let source = Arc::clone(&source);
            async move { source.read(key).await }
        }
    };
    (Cache::new(settings, read), source)
}

/// Returns the value of a counter whose labels are these.
pub(crate) fn counter(name: &str, cache: &str, outcome: Option<&str>) -> u64 {
    let families = prometheus::gather();
    let family = families.iter().find(|family| family.name() == name).unwrap();
    let found = family.get_metric().iter().find(|metric| {
        let label = |name: &str| metric.get_label().iter().find(|l| l.name() == name).map(LabelPair::value);
        label("cache") == Some(cache) && label("outcome") == outcome
    });
    // A float that counts.
    found.unwrap().get_counter().get_value().to_string().parse().unwrap()
}

pub(crate) fn requests(cache: &str, outcome: &str) -> u64 {
    counter("cache_requests_total", cache, Some(outcome))
}
