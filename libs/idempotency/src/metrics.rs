//! Every metric of this library.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

/// Requests with an idempotency key, by route template and by what became of them: `claimed`, `replayed`, `mismatch`,
/// `in_progress`.
pub(crate) static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "idempotency_requests_total",
        "Requests with an idempotency key, by route and outcome.",
        &["route", "outcome"]
    )
    .expect("the metric is registered once")
});

/// Events that arrived again after their effect had been committed.
pub(crate) static DEDUP_HITS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!("dedup_hits_total", "Events whose effect was there already.", &["consumer"])
        .expect("the metric is registered once")
});

/// Rows removed after their retention.
pub(crate) static PURGED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!("idempotency_purged_total", "Rows removed after their retention.", &["table"])
        .expect("the metric is registered once")
});
