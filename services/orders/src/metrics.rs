//! Every metric of this service; libraries add their own.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

/// Steps of the order process by outcome: `confirmed`, `rejected`, `already_done`, `failed`.
pub(crate) static PROCESSED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "orders_process_steps_total",
        "Steps of the order process, by outcome.",
        &["outcome"]
    )
    .expect("the metric is registered once")
});

/// Shows what the objectives count at zero; see `telemetry::expect_requests`.
pub(crate) fn show_requests() {
    telemetry::expect_requests("POST", "/v1/orders", &["202", "500", "503"]);
}
