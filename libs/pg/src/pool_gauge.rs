//! The gauge `pg_pool_connections`, read at each scrape: a stored value would keep the state of the last use of the pool.

use std::sync::{Arc, LazyLock, Mutex};

use deadpool_postgres::Status;
use prometheus::{
    IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Reads one pool; `None` when it is gone.
type Reading = Box<dyn Fn() -> Option<Status> + Send>;

/// All pools of a process.
#[derive(Clone)]
struct Pools {
    gauge: IntGaugeVec,
    readings: Arc<Mutex<Vec<Reading>>>,
}

static POOLS: LazyLock<Pools> = LazyLock::new(|| {
    let pools = Pools::new();
    prometheus::register(Box::new(pools.clone())).expect("the metric is registered once");
    pools
});

/// Adds a pool to the gauge until `read` returns `None`.
pub(crate) fn observe(read: impl Fn() -> Option<Status> + Send + 'static) {
    POOLS.observe(Box::new(read));
}

impl Pools {
    fn new() -> Self {
        let opts = Opts::new("pg_pool_connections", "Connections of the process's pools by state.");
        let gauge = IntGaugeVec::new(opts, &["state"]).expect("name and label are valid");
        Self { gauge, readings: Arc::default() }
    }

    fn observe(&self, read: Reading) {
        self.readings.lock().expect("no panic under this lock").push(read);
    }
}

impl Collector for Pools {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (mut open, mut idle, mut waiting, mut max) = (0, 0, 0, 0);
        self.readings.lock().expect("no panic under this lock").retain(|read| {
            let Some(pool) = read() else { return false };
            open += pool.size;
            idle += pool.available;
            waiting += pool.waiting;
            max += pool.max_size;
            true
        });
        for (state, count) in [("open", open), ("idle", idle), ("waiting", waiting), ("max", max)] {
            self.gauge.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.gauge.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_gauge_shows_the_pools_at_the_time_of_the_scrape() {
        let pools = Pools::new();
        let waiting = Arc::new(AtomicUsize::new(3));
        let read = Arc::downgrade(&waiting);
        pools.observe(Box::new(move || {
            let waiting = read.upgrade()?.load(Ordering::Relaxed);
            Some(Status { size: 2, available: 0, waiting, max_size: 2 })
        }));
        pools.observe(Box::new(|| Some(Status { size: 1, available: 1, waiting: 0, max_size: 4 })));
        let scraped = |state| {
            pools.collect();
            pools.gauge.with_label_values(&[state]).get()
        };
        assert_eq!([scraped("open"), scraped("idle"), scraped("waiting"), scraped("max")], [3, 1, 3, 6]);
        waiting.store(0, Ordering::Relaxed);
        assert_eq!(scraped("waiting"), 0, "without a use of the pool in between");
        drop(waiting);
        assert_eq!([scraped("open"), scraped("max")], [1, 4], "a dropped pool does not count");
    }
}
