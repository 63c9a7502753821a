//! What was read, and until when it may be served.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// The share of its lifetime after which an entry is refreshed, drawn at random for each, so that what was loaded together is
/// not refreshed together.
const REFRESH_AFTER: std::ops::Range<f64> = 0.7..0.9;

/// A refresh that came to nothing is tried again after this fraction of the lifetime.
const REFRESH_AGAIN: u32 = 20;

/// The result of a load: a value, or that there is none.
pub(crate) struct Entry<V> {
    value: Option<V>,
    /// The beginning of the load: no later than the moment at which the value was true.
    read_at: Instant,
    lifetime: Duration,
    /// The age in microseconds from which on the next refresh is due.
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

    /// Whether the caller is the one who has to see to the refresh that is due now.
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
