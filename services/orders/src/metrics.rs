//! Every metric of this service; libraries add their own.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use prometheus::{
    Gauge, IntCounter, IntCounterVec, IntGauge, register_gauge, register_int_counter,
    register_int_counter_vec, register_int_gauge,
};

/// Steps of the order process by outcome: `confirmed`, `rejected`, `already_done`, `failed`, and `put_aside`: somebody else had the
/// stock, and the step was left alone for a moment.
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

static DUE: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "orders_journey_due_total",
        "Orders that reached the age at which they should be final."
    )
    .expect("the metric is registered once")
});

static LATE: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("orders_journey_late_total", "Those of them that were not final at that age.")
        .expect("the metric is registered once")
});

static UNFINISHED: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!("orders_unfinished", "Orders that are neither confirmed nor rejected.")
        .expect("the metric is registered once")
});

static OVERDUE: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "orders_overdue",
        "Those of them that are older than the age at which they should be final."
    )
    .expect("the metric is registered once")
});

static OLDEST_UNFINISHED: LazyLock<Gauge> = LazyLock::new(|| {
    register_gauge!(
        "orders_oldest_unfinished_seconds",
        "Age of the oldest unfinished order; zero when there is none."
    )
    .expect("the metric is registered once")
});

static OBSERVED: LazyLock<Gauge> = LazyLock::new(|| {
    register_gauge!(
        "orders_journey_observed_timestamp_seconds",
        "When orders were last counted, in seconds since 1970; at first, when that began."
    )
    .expect("the metric is registered once")
});

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
    LazyLock::force(&DUE);
    LazyLock::force(&LATE);
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
