//! Every metric of this service; libraries add their own.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec, register_int_counter, register_int_counter_vec};

/// Orders that were accepted.
pub(crate) static PLACED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("orders_placed_total", "Orders accepted.").expect("the metric is registered once")
});

/// Steps of the order process by outcome: `confirmed`, `rejected`, `already_done`, `failed`.
pub(crate) static PROCESSED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "orders_process_steps_total",
        "Steps of the order process, by outcome.",
        &["outcome"]
    )
    .expect("the metric is registered once")
});
