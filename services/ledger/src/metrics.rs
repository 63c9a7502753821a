//! Metrics of this service. Libraries add their own.

use std::time::Duration;

use chrono::{DateTime, Utc};
use telemetry::metrics::now;

use crate::store::settlements::Backlog;

telemetry::metrics! {
    // Outcomes: succeeded, failed (the transfer), postponed (an attempt failed, and another one follows).
    /// Settlements of transfers, by outcome.
    pub(crate) SETTLED: IntCounterVec = "ledger_settlements_total" [outcome];
    // Calls: instruct, poll. Outcomes: accepted, settled, refused, not_found (poll), unknown (no answer, or none that says what became of it).
    /// Calls to the bank, by call and outcome.
    pub(crate) BANK_CALLS: IntCounterVec = "ledger_bank_calls_total" [call, outcome];
    /// Transfers that are accepted and not settled.
    PENDING: IntGauge = "ledger_pending_transfers";
    /// Age of the oldest pending transfer; zero without one.
    OLDEST_PENDING: Gauge = "ledger_oldest_pending_seconds";
    /// Time of the last count of pending transfers, in seconds since 1970; before the first count, the start of the process.
    OBSERVED: Gauge = "ledger_pending_observed_timestamp_seconds";
}

/// Shows the series at zero, and the time of the start, so that an alert notices a count that never succeeds.
pub(crate) fn show() {
    telemetry::expect_requests("POST", "/v1/transfers", &["202", "500", "503"]);
    for outcome in ["succeeded", "failed", "postponed"] {
        SETTLED.with_label_values(&[outcome]);
    }
    for outcome in ["accepted", "settled", "refused", "unknown"] {
        BANK_CALLS.with_label_values(&["instruct", outcome]);
        BANK_CALLS.with_label_values(&["poll", outcome]);
    }
    BANK_CALLS.with_label_values(&["poll", "not_found"]);
    OBSERVED.set(now());
}

pub(crate) fn observe_backlog(backlog: &Backlog, at: DateTime<Utc>) {
    let oldest =
        backlog.oldest.map_or(Duration::ZERO, |created_at| (at - created_at).to_std().unwrap_or_default());
    PENDING.set(backlog.count);
    OLDEST_PENDING.set(oldest.as_secs_f64());
    OBSERVED.set(now());
}
