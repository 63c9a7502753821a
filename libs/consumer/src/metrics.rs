//! Every metric of this library.

use std::sync::LazyLock;

use prometheus::{
    GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec, register_gauge_vec, register_histogram_vec,
    register_int_counter_vec, register_int_gauge_vec,
};

/// Handled messages by outcome: `done`, `retry`, `dead_letter`.
pub(crate) static HANDLED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "consumer_handled_total",
        "Calls of the handler, by outcome.",
        &["topic", "outcome"]
    )
    .expect("the metric is registered once")
});

/// Time in the handler for one call.
pub(crate) static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    register_histogram_vec!(
        "consumer_handle_duration_seconds",
        "Duration of one call of the handler.",
        &["topic"],
        vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]
    )
    .expect("the metric is registered once")
});

/// Messages between the end of the partition and what is committed.
pub(crate) static LAG: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "consumer_lag",
        "Messages not yet committed, by partition.",
        &["topic", "partition"]
    )
    .expect("the metric is registered once")
});

/// Partitions held, and those of them that are paused because their queue is full.
pub(crate) static PARTITIONS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "consumer_partitions",
        "Partitions by state: active, paused.",
        &["topic", "state"]
    )
    .expect("the metric is registered once")
});

/// Dead letters that nobody has replayed or discarded yet.
pub(crate) static DEAD_LETTERS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!("consumer_dead_letters", "Messages in the dead-letter topic.", &["topic"])
        .expect("the metric is registered once")
});

/// Offsets that could not be stored because the partition had been taken away: its messages come again elsewhere.
pub(crate) static LATE_OFFSETS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "consumer_late_offsets_total",
        "Messages finished after their partition was taken away.",
        &["topic"]
    )
    .expect("the metric is registered once")
});

/// Records that have reached the age at which they are due, finished or not.
pub(crate) static DUE: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "consumer_due_total",
        "Records that have reached the age at which they are due.",
        &["group", "topic"]
    )
    .expect("the metric is registered once")
});

/// Records that were due and not finished.
pub(crate) static LATE: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "consumer_late_total",
        "Records that were not finished at the age at which they are due.",
        &["group", "topic"]
    )
    .expect("the metric is registered once")
});

/// Age of the oldest record of this process's partitions that is not finished; 0 when there is none.
pub(crate) static OLDEST: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "consumer_oldest_unhandled_seconds",
        "Age of the oldest unfinished record, 0 when there is none.",
        &["group", "topic"]
    )
    .expect("the metric is registered once")
});

/// When the broker last answered what is due.
pub(crate) static OBSERVED: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "consumer_observed_timestamp_seconds",
        "When the due records were last counted, in seconds since 1970.",
        &["group", "topic"]
    )
    .expect("the metric is registered once")
});

/// Shows the counters at zero, so that the first record which is late is an increase.
pub(crate) fn show_due(labels: [&str; 2]) {
    DUE.with_label_values(&labels);
    LATE.with_label_values(&labels);
}

/// Shows every outcome at zero: the first dead letter is then an increase, and a consumer that handles nothing has a rate.
pub(crate) fn show_outcomes(topic: &str) {
    for outcome in ["done", "retry", "dead_letter"] {
        HANDLED.with_label_values(&[topic, outcome]);
    }
}
