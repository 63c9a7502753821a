//! Every metric of this library.

use std::sync::LazyLock;

use prometheus::{
    Gauge, Histogram, IntCounter, IntGauge, register_gauge, register_histogram, register_int_counter,
    register_int_gauge,
};

/// Age of the oldest row that no parked one holds up; zero when there is none. The first sign that events do not leave.
pub(crate) static OLDEST_UNPUBLISHED: LazyLock<Gauge> = LazyLock::new(|| {
    register_gauge!("outbox_oldest_unpublished_seconds", "Age of the oldest event that is not published.")
        .expect("the metric is registered once")
});

/// Messages acknowledged by the broker.
pub(crate) static PUBLISHED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("outbox_published_total", "Events acknowledged by the broker.")
        .expect("the metric is registered once")
});

/// Rows in the producer of this relay.
static IN_FLIGHT_ROWS: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "outbox_in_flight_rows",
        "Events in the producer that the broker has not acknowledged."
    )
    .expect("the metric is registered once")
});

/// The same in bytes.
static IN_FLIGHT_BYTES: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!("outbox_in_flight_bytes", "Bytes of the events in the producer.")
        .expect("the metric is registered once")
});

/// Partitions that have taken nothing for some seconds although they were given something.
pub(crate) static STALLED_PARTITIONS: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!("outbox_stalled_partitions", "Partitions that take no events.")
        .expect("the metric is registered once")
});

/// Rows that the broker refuses even alone: all there are, as every replica sees them.
pub(crate) static PARKED_ROWS: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!("outbox_parked_rows", "Events that the broker refuses, which wait for a person.")
        .expect("the metric is registered once")
});

/// Times that this relay set a row aside.
pub(crate) static PARKED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("outbox_parked_total", "Events that the broker refused, and that were set aside.")
        .expect("the metric is registered once")
});

/// Times that the relay had to begin again, or something of it.
pub(crate) static FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "outbox_relay_failures_total",
        "Times the relay failed and began again, replaced its producer, or was refused an event."
    )
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

/// Shows what the producer holds.
pub(crate) fn show_in_flight(rows: usize, bytes: usize) {
    IN_FLIGHT_ROWS.set(rows.try_into().unwrap_or(i64::MAX));
    IN_FLIGHT_BYTES.set(bytes.try_into().unwrap_or(i64::MAX));
}

/// Shows the counters at zero, so that the first failure is an increase.
pub(crate) fn show() {
    LazyLock::force(&PUBLISHED);
    LazyLock::force(&PARKED);
    LazyLock::force(&FAILURES);
    LazyLock::force(&STALLED_PARTITIONS);
    show_in_flight(0, 0);
}
