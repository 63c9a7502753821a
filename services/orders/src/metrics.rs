//! Metrics of this service. Libraries add their own.

use std::time::Duration;

use chrono::{DateTime, Utc};
use telemetry::metrics::register;

use crate::store::process::{Counted, Unfinished};

telemetry::metrics! {
    // Outcomes: confirmed, rejected, already_done, failed, put_aside (the stock was locked; the step runs again soon).
    /// Steps of the order process, by outcome.
    pub(crate) PROCESSED: IntCounterVec = "orders_process_steps_total" [outcome];
    /// Orders that reached the age at which they should be final.
    DUE: IntCounter = "orders_journey_due_total";
    /// Due orders that were not final at that age.
    LATE: IntCounter = "orders_journey_late_total";
    /// Orders that are neither confirmed nor rejected.
    UNFINISHED: IntGauge = "orders_unfinished";
    /// Unfinished orders that are older than the age at which they should be final.
    OVERDUE: IntGauge = "orders_overdue";
    /// Age of the oldest unfinished order; zero without one.
    OLDEST_UNFINISHED: Gauge = "orders_oldest_unfinished_seconds";
    /// Events about customers to win back.
    pub(crate) WIN_BACK_EMITTED: IntCounter = "orders_win_back_emitted_total";
    // Outcomes: done, failed, deferred (too many events are not published).
    /// Searches for customers to win back, by outcome.
    WIN_BACK_SEARCHES: IntCounterVec = "orders_win_back_searches_total" [outcome];
    /// End of the last search that succeeded, in seconds since 1970; before the first one, the start of the search.
    WIN_BACK_SEARCHED: Gauge = "orders_win_back_searched_timestamp_seconds";
    /// Customers who unsubscribed from promotions, repetitions included.
    pub(crate) UNSUBSCRIBED: IntCounter = "orders_unsubscribed_total";
    /// 1 while no new order is accepted, because too many events are not published.
    pub(crate) BLOCKED: IntGauge = "orders_blocked";
    /// New orders that were refused because too many events are not published.
    pub(crate) BLOCKED_REQUESTS: IntCounter = "orders_blocked_requests_total";
    /// Time of the last count of orders, in seconds since 1970; before the first count, the start of the process.
    OBSERVED: Gauge = "orders_journey_observed_timestamp_seconds";
}

/// Shows the series of the objectives at zero, and the time of the start, so that an alert notices a count that never succeeds.
pub(crate) fn show() {
    telemetry::expect_requests("POST", "/v1/orders", &["202", "500", "503"]);
    register(&[&DUE, &LATE, &UNSUBSCRIBED, &BLOCKED_REQUESTS]);
    register(&[&BLOCKED]);
    OBSERVED.set(seconds(Utc::now()));
}

pub(crate) fn observe_lateness(unfinished: &Unfinished, counted: &Counted, now: DateTime<Utc>) {
    let oldest = unfinished.oldest.map_or(Duration::ZERO, |at| (now - at).to_std().unwrap_or_default());
    DUE.inc_by(counted.due);
    LATE.inc_by(counted.late);
    UNFINISHED.set(unfinished.count);
    OVERDUE.set(unfinished.overdue);
    OLDEST_UNFINISHED.set(oldest.as_secs_f64());
    OBSERVED.set(seconds(now));
}

/// Shows the series of the search for customers to win back, and the time of its start.
pub(crate) fn show_win_back() {
    register(&[&WIN_BACK_EMITTED]);
    for outcome in ["done", "failed", "deferred"] {
        WIN_BACK_SEARCHES.with_label_values(&[outcome]);
    }
    WIN_BACK_SEARCHED.set(seconds(Utc::now()));
}

pub(crate) fn observe_search(outcome: &str, now: DateTime<Utc>) {
    WIN_BACK_SEARCHES.with_label_values(&[outcome]).inc();
    if outcome == "done" {
        WIN_BACK_SEARCHED.set(seconds(now));
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1_000.0
}
