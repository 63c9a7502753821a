//! Metrics of the bank. Libraries add their own.

telemetry::metrics! {
    // Statuses: accepted, settled, refused.
    /// Instructions that reached a status.
    pub(crate) INSTRUCTIONS: IntCounterVec = "bank_instructions_total" [status];
    // Outcomes: delivered, failed, abandoned.
    /// Attempts to deliver a webhook by outcome, and webhooks that were abandoned.
    pub(crate) WEBHOOKS: IntCounterVec = "bank_webhooks_total" [outcome];
    // Kinds: timeout, twice, out_of_order, contradictory, down.
    /// Misbehaviour that clients met, by kind.
    pub(crate) MISBEHAVIOUR: IntCounterVec = "bank_misbehaviour_total" [kind];
}

/// Shows every series at zero.
pub(crate) fn show() {
    for (metric, values) in [
        (&INSTRUCTIONS, &["accepted", "settled", "refused"][..]),
        (&WEBHOOKS, &["delivered", "failed", "abandoned"]),
        (&MISBEHAVIOUR, &["timeout", "twice", "out_of_order", "contradictory", "down"]),
    ] {
        for value in values {
            metric.with_label_values(&[value]);
        }
    }
}
