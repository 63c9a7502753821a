//! Every metric of this service; libraries add their own.

use std::time::Duration;

use chrono::{DateTime, Utc};
use telemetry::metrics::register;

telemetry::metrics! {
    // Outcomes: confirmed, rejected, already_done, failed, put_aside (the stock was locked; the step runs again soon).
    /// Steps of the order process, by outcome.
    pub(crate) PROCESSED: IntCounterVec = "orders_process_steps_total" [outcome];
    /// Orders that reached the age at which they should be final.
    DUE: IntCounter = "orders_journey_due_total";
    /// Those of them that were not final at that age.
    LATE: IntCounter = "orders_journey_late_total";
    /// Orders that are neither confirmed nor rejected.
    UNFINISHED: IntGauge = "orders_unfinished";
    /// Those of them that are older than the age at which they should be final.
    OVERDUE: IntGauge = "orders_overdue";
    /// Age of the oldest unfinished order; zero when there is none.
    OLDEST_UNFINISHED: Gauge = "orders_oldest_unfinished_seconds";
    /// When orders were last counted, in seconds since 1970; at first, when that began.
    OBSERVED: Gauge = "orders_journey_observed_timestamp_seconds";
}

/// Shows what the objectives count at zero; see `telemetry::expect_requests`.
pub(crate) fn show_requests() {
    telemetry::expect_requests("POST", "/v1/orders", &["202", "500", "503"]);
}

/// What one look at the orders found.
pub(crate) struct Journey {
    pub(crate) due: u64,
    pub(crate) late: u64,
    pub(crate) unfinished: i64,
    pub(crate) overdue: i64,
    pub(crate) oldest: Duration,
    pub(crate) at: DateTime<Utc>,
}

/// Shows the counters at zero, and a time, so that a count that never succeeds grows old.
pub(crate) fn show_journey() {
    register(&[&DUE, &LATE]);
    OBSERVED.set(seconds(Utc::now()));
}

pub(crate) fn observe_journey(journey: &Journey) {
    DUE.inc_by(journey.due);
    LATE.inc_by(journey.late);
    UNFINISHED.set(journey.unfinished);
    OVERDUE.set(journey.overdue);
    OLDEST_UNFINISHED.set(journey.oldest.as_secs_f64());
    OBSERVED.set(seconds(journey.at));
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1_000.0
}
