//! The gauge of connections: read when somebody asks for metrics, and not kept.
//!
//! A value that is kept by whoever uses a pool goes on saying what the last user saw, for as long as nobody comes.

use std::sync::{Arc, LazyLock, Mutex};

use prometheus::{
    IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Connections by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connections {
    pub(crate) open: usize,
    pub(crate) idle: usize,
    /// Callers without one.
    pub(crate) waiting: usize,
    /// As configured.
    pub(crate) max: usize,
}

/// Asks one pool; nothing when it is gone.
type Reading = Box<dyn Fn() -> Option<Connections> + Send>;

/// The pools of this process.
struct Pools {
    gauge: IntGaugeVec,
    readings: Mutex<Vec<Reading>>,
}

static POOLS: LazyLock<Arc<Pools>> = LazyLock::new(|| {
    let pools = Arc::new(Pools::new());
    prometheus::register(Box::new(Registered(Arc::clone(&pools)))).expect("the metric is registered once");
    pools
});

/// Has a pool counted from now on, until `read` says that it is gone.
pub(crate) fn watch(read: impl Fn() -> Option<Connections> + Send + 'static) {
    POOLS.watch(Box::new(read));
}

impl Pools {
    fn new() -> Self {
        let opts = Opts::new("pg_pool_connections", "Connections of the process's pools by state.");
        let gauge = IntGaugeVec::new(opts, &["state"]).expect("name and label are valid");
        Self { gauge, readings: Mutex::default() }
    }

    fn watch(&self, read: Reading) {
        self.readings.lock().expect("no panic under this lock").push(read);
    }

    /// Adds up what the pools say, and forgets those that are gone.
    fn read(&self) -> Connections {
        let mut sum = Connections::default();
        self.readings.lock().expect("no panic under this lock").retain(|read| {
            let Some(pool) = read() else { return false };
            sum.open += pool.open;
            sum.idle += pool.idle;
            sum.waiting += pool.waiting;
            sum.max += pool.max;
            true
        });
        sum
    }
}

/// The pools, as the registry takes them.
struct Registered(Arc<Pools>);

impl Collector for Registered {
    fn desc(&self) -> Vec<&Desc> {
        self.0.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Connections { open, idle, waiting, max } = self.0.read();
        for (state, count) in [("open", open), ("idle", idle), ("waiting", waiting), ("max", max)] {
            self.0.gauge.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.0.gauge.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn what_is_told_is_what_is_so_when_somebody_asks() {
        let pools = Arc::new(Pools::new());
        let waiting = Arc::new(AtomicUsize::new(3));
        let read = Arc::downgrade(&waiting);
        pools.watch(Box::new(move || {
            let waiting = read.upgrade()?.load(Ordering::Relaxed);
            Some(Connections { open: 2, idle: 0, waiting, max: 2 })
        }));
        pools.watch(Box::new(|| Some(Connections { open: 1, idle: 1, waiting: 0, max: 4 })));
        let registered = Registered(Arc::clone(&pools));
        let told = |state| {
            registered.collect();
            pools.gauge.with_label_values(&[state]).get()
        };
        assert_eq!([told("open"), told("idle"), told("waiting"), told("max")], [3, 1, 3, 6]);
        waiting.store(0, Ordering::Relaxed);
        assert_eq!(told("waiting"), 0, "although nobody has used a pool since");
        drop(waiting);
        assert_eq!([told("open"), told("max")], [1, 4], "a pool that is gone is not counted");
    }
}
