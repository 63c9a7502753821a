//! Every metric of this library.

use std::sync::LazyLock;

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, IntGaugeVec, register_int_counter_vec, register_int_gauge_vec,
};

static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Answers of caches by outcome: hit and negative_hit from memory, miss and coalesced after a load, failed.";
    register_int_counter_vec!("cache_requests_total", help, &["cache", "outcome"])
        .expect("the metric is registered once")
});

static REFRESHES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!("cache_refreshes_total", "Loads begun before an entry was too old.", &["cache"])
        .expect("the metric is registered once")
});

static STALE_LOADS_REJECTED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Loads whose key was invalidated meanwhile, so that their result was not kept.";
    register_int_counter_vec!("cache_stale_loads_rejected_total", help, &["cache"])
        .expect("the metric is registered once")
});

static ENTRIES: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!("cache_entries", "Entries, about, as of the last load.", &["cache"])
        .expect("the metric is registered once")
});

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
