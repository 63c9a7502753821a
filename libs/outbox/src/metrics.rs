//! Every metric of this library.

use telemetry::metrics::{now, register};

telemetry::metrics! {
    // Events behind a refused event of their key are not counted. The first sign that publishing has stopped.
    /// Age of the oldest event that is not published, or the time since it was put back.
    pub(crate) OLDEST_UNPUBLISHED: Gauge = "outbox_oldest_unpublished_seconds";
    // Of the whole database, so every replica shows the same number. Parked events are not counted.
    /// Events that are not published.
    pub(crate) UNPUBLISHED_ROWS: IntGauge = "outbox_unpublished_rows";
    // Zero while fewer than ten events wait there. An event that others have overtaken does not count.
    /// Age of the oldest event that is newer than every published one.
    pub(crate) FRONT_AGE: Gauge = "outbox_front_age_seconds";
    /// Time of the last measurement of the backlog, in seconds since 1970; before the first one, the start of the process.
    OBSERVED: Gauge = "outbox_observed_timestamp_seconds";
    /// Events acknowledged by the broker.
    pub(crate) PUBLISHED: IntCounter = "outbox_published_total";
    /// Events in the producer that the broker has not acknowledged.
    IN_FLIGHT_ROWS: IntGauge = "outbox_in_flight_rows";
    /// Bytes of the events in the producer.
    IN_FLIGHT_BYTES: IntGauge = "outbox_in_flight_bytes";
    /// Buckets that this replica publishes.
    BUCKETS: IntGauge = "outbox_buckets";
    // Grows while a transaction that wrote an event stays open.
    /// Events that were read, with a transaction still open that could commit an earlier one.
    UNSETTLED_ROWS: IntGauge = "outbox_unsettled_rows";
    /// Partitions that take no events.
    pub(crate) STALLED_PARTITIONS: IntGauge = "outbox_stalled_partitions";
    // All refused rows of the table, so every replica shows the same number.
    /// Events that the broker refuses, which wait for a person.
    pub(crate) PARKED_ROWS: IntGauge = "outbox_parked_rows";
    /// Events that the broker refused, and that were set aside.
    pub(crate) PARKED: IntCounter = "outbox_parked_total";
    /// Times the relay failed and began again, or replaced its producer, and events that their partition did not take.
    pub(crate) FAILURES: IntCounter = "outbox_relay_failures_total";
    /// Time from an event to its acknowledgement by the broker.
    pub(crate) DELAY: Histogram = "outbox_publish_delay_seconds",
        buckets &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0];
}

pub(crate) fn show_queue(buckets: usize, unsettled: usize) {
    BUCKETS.set(buckets.try_into().unwrap_or(i64::MAX));
    UNSETTLED_ROWS.set(unsettled.try_into().unwrap_or(i64::MAX));
}

pub(crate) fn show_in_flight(rows: usize, bytes: usize) {
    IN_FLIGHT_ROWS.set(rows.try_into().unwrap_or(i64::MAX));
    IN_FLIGHT_BYTES.set(bytes.try_into().unwrap_or(i64::MAX));
}

pub(crate) fn show_observed() {
    OBSERVED.set(now());
}

/// Shows the counters at zero, so that the first failure is an increase, and the time of the start, so that an alert notices a
/// measurement that never succeeds.
pub(crate) fn show() {
    register(&[&PUBLISHED, &PARKED, &FAILURES]);
    register(&[&BUCKETS, &UNSETTLED_ROWS, &STALLED_PARTITIONS]);
    show_in_flight(0, 0);
    show_observed();
}
