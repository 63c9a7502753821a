//! The bounds of a cache.

use std::time::Duration;

/// What a cache may hold, for how long, and what it may ask of the store behind it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The label of its metrics.
    pub name: &'static str,

    /// Values at most.
    pub capacity: u64,

    /// How long after the beginning of its load a value may be served: the hard bound on staleness. A load that takes longer
    /// than this fails.
    pub max_age: Duration,

    /// Keys at most that are known to have no value. They have room of their own, so that they never displace a value.
    pub absent_capacity: u64,

    /// The same as `max_age`, for "there is none".
    pub absent_max_age: Duration,

    /// Loads in flight at most. As many as there are requests in flight is enough for every request to have one.
    pub max_loads: usize,

    /// How long a load may take.
    pub load_timeout: Duration,
}

impl Settings {
    pub(crate) fn lifetime<V>(&self, value: Option<&V>) -> Duration {
        if value.is_some() { self.max_age } else { self.absent_max_age }
    }
}
