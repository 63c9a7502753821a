//! Metrics of this service. Libraries add their own.

telemetry::metrics! {
    // Outcomes: created, updated, unchanged, taken, precondition_failed.
    /// Links put, by outcome.
    pub(crate) PUTS: IntCounterVec = "url_shortener_puts_total" [outcome];
    // Outcomes: found, unknown, malformed. A HEAD is not counted.
    /// Requests for redirects with GET, by outcome.
    pub(crate) REDIRECTS: IntCounterVec = "url_shortener_redirects_total" [outcome];
}

/// Shows the series of the objectives at zero; see `telemetry::expect_requests`.
pub(crate) fn show_requests() {
    telemetry::expect_requests("GET", "/{code}", &["302", "500", "503"]);
}
