//! Every metric of this library.

telemetry::metrics! {
    // Outcomes: claimed, replayed, mismatch, in_progress.
    /// Requests with an idempotency key, by route and outcome.
    pub(crate) REQUESTS: IntCounterVec = "idempotency_requests_total" [route, outcome];
    /// Events whose effect was there already.
    pub(crate) DEDUP_HITS: IntCounterVec = "dedup_hits_total" [consumer];
    /// Rows removed after their retention.
    pub(crate) PURGED: IntCounterVec = "idempotency_purged_total" [table];
}
