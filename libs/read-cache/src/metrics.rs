//! Every metric of this library.

use telemetry::metrics::{IntCounter, IntGauge};

telemetry::metrics! {
    /// Answers of caches by outcome: hit and negative_hit from memory, miss and coalesced after a load, failed.
    REQUESTS: IntCounterVec = "cache_requests_total" [cache, outcome];
    /// Loads begun before an entry was too old.
    REFRESHES: IntCounterVec = "cache_refreshes_total" [cache];
    /// Loads whose key was invalidated meanwhile, so that their result was not kept.
    STALE_LOADS_REJECTED: IntCounterVec = "cache_stale_loads_rejected_total" [cache];
    /// Entries, about, as of the last load.
    ENTRIES: IntGaugeVec = "cache_entries" [cache];
}

/// The metrics of one cache, looked up once: a hit only adds one.
pub(crate) struct Metrics {
    pub(crate) hit: IntCounter,
    pub(crate) negative_hit: IntCounter,
    pub(crate) miss: IntCounter,
    pub(crate) coalesced: IntCounter,
    pub(crate) failed: IntCounter,
    pub(crate) refreshes: IntCounter,
    pub(crate) stale_loads_rejected: IntCounter,
    pub(crate) entries: IntGauge,
}

impl Metrics {
    pub(crate) fn of(cache: &'static str) -> Self {
        let requests = |outcome| REQUESTS.with_label_values(&[cache, outcome]);
        Self {
            hit: requests("hit"),
            negative_hit: requests("negative_hit"),
            miss: requests("miss"),
            coalesced: requests("coalesced"),
            failed: requests("failed"),
            refreshes: REFRESHES.with_label_values(&[cache]),
            stale_loads_rejected: STALE_LOADS_REJECTED.with_label_values(&[cache]),
            entries: ENTRIES.with_label_values(&[cache]),
        }
    }
}
