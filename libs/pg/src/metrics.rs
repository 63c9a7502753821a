//! Every metric of this library, except the gauge of connections, which is read when a client asks for metrics.

use std::time::Instant;

telemetry::metrics! {
    /// Duration of transactions, waiting for a connection included.
    TX_DURATION: HistogramVec = "pg_transaction_duration_seconds" [transaction, outcome],
        buckets &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
    /// Transactions run again after a serialization failure or deadlock.
    pub(crate) TX_RETRIES: IntCounterVec = "pg_transaction_retries_total" [transaction];
}

/// Measures a transaction that has ended, from the request for a connection to the end of COMMIT.
pub(crate) fn observe_tx(name: &'static str, outcome: &'static str, started: Instant) {
    TX_DURATION.with_label_values(&[name, outcome]).observe(started.elapsed().as_secs_f64());
}
