//! Every metric of this library.

use std::sync::LazyLock;

use prometheus::{Gauge, Histogram, IntCounter, register_gauge, register_histogram, register_int_counter};

/// Age of the oldest row; zero when there is none. The first sign that events do not leave.
pub(crate) static OLDEST_UNPUBLISHED: LazyLock<Gauge> = LazyLock::new(|| {
    register_gauge!("outbox_oldest_unpublished_seconds", "Age of the oldest event that is not published.")
        .expect("the metric is registered once")
});

/// Messages acknowledged by the broker.
pub(crate) static PUBLISHED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("outbox_published_total", "Events acknowledged by the broker.")
        .expect("the metric is registered once")
});

/// Times that the relay had to begin again.
pub(crate) static FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("outbox_relay_failures_total", "Times the relay failed and began again.")
        .expect("the metric is registered once")
});

/// Time from the event to the broker's acknowledgement.
pub(crate) static DELAY: LazyLock<Histogram> = LazyLock::new(|| {
    register_histogram!(
        "outbox_publish_delay_seconds",
        "Time from an event to its acknowledgement by the broker.",
        vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0]
    )
    .expect("the metric is registered once")
});

/// Shows the counters at zero, so that the first failure is an increase.
pub(crate) fn show() {
    LazyLock::force(&PUBLISHED);
    LazyLock::force(&FAILURES);
}
