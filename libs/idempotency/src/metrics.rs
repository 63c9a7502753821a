//! Every metric of this library.

telemetry::metrics! {
    // Outcomes: claimed, replayed, mismatch, in_progress, shed.
    /// Requests with an idempotency key, by route and outcome.
    pub(crate) REQUESTS: IntCounterVec = "idempotency_requests_total" [route, outcome];
    /// Events whose effect was there already.
    pub(crate) DEDUP_HITS: IntCounterVec = "dedup_hits_total" [consumer];
    /// Rows removed after their retention.
    pub(crate) PURGED: IntCounterVec = "idempotency_purged_total" [table];
    // By: a client's retry, or the completer.
    /// Operations taken over after their lease.
    pub(crate) TAKEOVERS: IntCounterVec = "idempotency_takeovers_total" [operation, by];
    // Outcomes: finished, refused (with a stored refusal), forgotten (without a record), failed (continued later), lost (another attempt
    // took over).
    /// Attempts at operations that reach outside the database, by how they ended.
    pub(crate) ATTEMPTS: IntCounterVec = "idempotency_attempts_total" [operation, outcome];
    /// Operations without a response yet.
    pub(crate) UNFINISHED: IntGaugeVec = "idempotency_unfinished" [operation];
    /// Age of the oldest operation without a response.
    pub(crate) OLDEST_UNFINISHED: GaugeVec = "idempotency_oldest_unfinished_seconds" [operation];
}
