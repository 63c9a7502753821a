//! Every metric of this library, but for the gauge of connections, which is read and not kept.

use std::{sync::LazyLock, time::Instant};

use prometheus::{HistogramVec, IntCounterVec, register_histogram_vec, register_int_counter_vec};

/// Time from asking for a connection to the end of COMMIT, by transaction name and outcome.
pub(crate) static TX_DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    register_histogram_vec!(
        "pg_transaction_duration_seconds",
        "Duration of transactions, waiting for a connection included.",
        &["transaction", "outcome"],
        vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]
    )
    .expect("the metric is registered once")
});

/// Measures a transaction that has ended.
pub(crate) fn observe_tx(name: &'static str, outcome: &'static str, started: Instant) {
    TX_DURATION.with_label_values(&[name, outcome]).observe(started.elapsed().as_secs_f64());
}

/// Transactions that were run again after a conflict with a concurrent one.
pub(crate) static TX_RETRIES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "pg_transaction_retries_total",
        "Transactions run again after a serialization failure or deadlock.",
        &["transaction"]
    )
    .expect("the metric is registered once")
});
