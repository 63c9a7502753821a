//! Every metric of this library.

use std::sync::LazyLock;

use prometheus::{
    GaugeVec, IntCounterVec, IntGaugeVec, register_gauge_vec, register_int_counter_vec,
    register_int_gauge_vec,
};

/// Requests with an idempotency key, by route template and by what became of them: `claimed`, `replayed`, `mismatch`,
/// `in_progress`, `shed`.
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

/// Operations taken over after their lease, by who did: a client's `retry` or the `completer`.
pub(crate) static TAKEOVERS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "idempotency_takeovers_total",
        "Operations taken over after their lease.",
        &["operation", "by"]
    )
    .expect("the metric is registered once")
});

/// Attempts at operations by how they ended: `finished`, `refused` (with a stored refusal), `forgotten` (without a record),
/// `failed` (continued later), `lost` (another attempt took over).
pub(crate) static ATTEMPTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "idempotency_attempts_total",
        "Attempts at operations that reach outside the database, by how they ended.",
        &["operation", "outcome"]
    )
    .expect("the metric is registered once")
});

/// Operations that have no response yet, as the completer saw them last.
pub(crate) static UNFINISHED: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!("idempotency_unfinished", "Operations without a response yet.", &["operation"])
        .expect("the metric is registered once")
});

/// Age of the oldest of them: grows while something keeps it from ever being finished.
pub(crate) static OLDEST_UNFINISHED: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "idempotency_oldest_unfinished_seconds",
        "Age of the oldest operation without a response.",
        &["operation"]
    )
    .expect("the metric is registered once")
});
