//! Every metric of this library.

telemetry::metrics! {
    /// Calls of the handler, by outcome.
    pub(crate) HANDLED: IntCounterVec = "consumer_handled_total" [topic, outcome];
    /// Duration of one call of the handler.
    pub(crate) DURATION: HistogramVec = "consumer_handle_duration_seconds" [topic],
        buckets &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    /// Messages sent to a retry topic.
    pub(crate) RETRIED: IntCounterVec = "consumer_retried_total" [topic, retry_topic];
    /// Events that left their topic and are not handled: in a retry topic, or behind one of their key.
    pub(crate) POSTPONED: IntGaugeVec = "consumer_postponed_events" [group, topic];
    /// Keys whose events wait behind a postponed one.
    pub(crate) BLOCKED_KEYS: IntGaugeVec = "consumer_blocked_keys" [group, topic];
    // Then one attempt at a time is made.
    /// 1 while a dependency of the handler fails for several keys in a row.
    pub(crate) CIRCUIT_OPEN: IntGaugeVec = "consumer_circuit_open" [topic];
    /// Messages not yet committed, by partition.
    pub(crate) LAG: IntGaugeVec = "consumer_lag" [topic, partition];
    // A partition is paused while its queue is full.
    /// Partitions by state: active, paused.
    pub(crate) PARTITIONS: IntGaugeVec = "consumer_partitions" [topic, state];
    /// Messages that became dead letters, by the code of the reason.
    pub(crate) NEW_DEAD_LETTERS: IntCounterVec = "consumer_dead_letters_total" [topic, code];
    // Those that an operator has not replayed or discarded.
    /// Open letters in the dead-letter topic.
    pub(crate) DEAD_LETTERS: IntGaugeVec = "consumer_dead_letters" [topic];
    /// Age of the oldest open letter, 0 when there is none.
    pub(crate) OLDEST_DEAD_LETTER: GaugeVec = "consumer_oldest_dead_letter_seconds" [topic];
    /// When the open letters were last counted, in seconds since 1970.
    pub(crate) DEAD_LETTERS_OBSERVED: GaugeVec = "consumer_dead_letters_observed_timestamp_seconds" [topic];
    // Their offsets cannot be stored, so another consumer gets these messages again.
    /// Messages finished after their partition was taken away.
    pub(crate) LATE_OFFSETS: IntCounterVec = "consumer_late_offsets_total" [topic];
    /// Records that have reached the age at which they are due.
    pub(crate) DUE: IntCounterVec = "consumer_due_total" [group, topic];
    /// Records that were not finished at the age at which they are due.
    pub(crate) LATE: IntCounterVec = "consumer_late_total" [group, topic];
    /// Age of the oldest unfinished record, 0 when there is none.
    pub(crate) OLDEST: GaugeVec = "consumer_oldest_unhandled_seconds" [group, topic];
    /// When the due records were last counted, in seconds since 1970.
    pub(crate) OBSERVED: GaugeVec = "consumer_observed_timestamp_seconds" [group, topic];
}

/// Shows the counters at zero, so that the first record which is late is an increase.
pub(crate) fn show_due(labels: [&str; 2]) {
    DUE.with_label_values(&labels);
    LATE.with_label_values(&labels);
}

/// Shows the counters of dead letters at zero, so that the first one is an increase.
pub(crate) fn show_dead_letters<'a>(topic: &str, codes: impl IntoIterator<Item = &'a str>) {
    for code in codes {
        NEW_DEAD_LETTERS.with_label_values(&[topic, code]);
    }
}

/// Shows every outcome at zero: the first dead letter is then an increase, and a consumer that handles nothing has a rate.
pub(crate) fn show_outcomes(topic: &str) {
    for outcome in ["done", "unavailable", "busy", "retry", "dead_letter"] {
        HANDLED.with_label_values(&[topic, outcome]);
    }
}
