//! Every metric of this service; libraries add their own.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

/// Links put, by outcome: `created`, `updated`, `unchanged`, `taken`, `precondition_failed`.
pub(crate) static PUTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!("url_shortener_puts_total", "Links put, by outcome.", &["outcome"])
        .expect("the metric is registered once")
});

/// Visits of short links, by outcome: `found`, `unknown`, `malformed`. A `HEAD` is no visit.
pub(crate) static REDIRECTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "url_shortener_redirects_total",
        "Redirects asked for with GET, by outcome.",
        &["outcome"]
    )
    .expect("the metric is registered once")
});

/// Shows what the objectives count at zero; see `telemetry::expect_requests`.
pub(crate) fn show_requests() {
    telemetry::expect_requests("GET", "/{code}", &["302", "500", "503"]);
}
