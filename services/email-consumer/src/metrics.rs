//! Metrics of this service. Libraries add their own.

use strum::IntoEnumIterator as _;
use telemetry::metrics::register;

use crate::domain::win_back::{self, End};

telemetry::metrics! {
    /// Mails that the SMTP server accepted.
    pub(crate) MAILS_SENT: IntCounterVec = "mails_sent_total" [kind];
    /// Mails sent again after an attempt without an answer, which the SMTP server may have accepted.
    pub(crate) POSSIBLE_DUPLICATES: IntCounter = "email_possible_duplicates_total";
    /// Attempts without an answer after the end of the mail, so that the SMTP server may have it.
    pub(crate) UNKNOWN_OUTCOMES: IntCounter = "email_unknown_outcomes_total";
    /// Claimed mails whose outcome is not recorded yet.
    pub(crate) LEASES_HELD: IntGauge = "email_leases_held";
    /// Attempts to claim a mail under the lease of another process.
    pub(crate) LEASE_WAITS: IntCounter = "email_lease_waits_total";
    /// Duplicate events whose mail was sent before.
    pub(crate) REPEATED: IntCounter = "email_repeated_events_total";
    // The objective (60 s) is a bucket.
    /// Time from an event to the acceptance of its mail by the SMTP server.
    pub(crate) DELAY: HistogramVec = "email_delay_seconds" [kind],
        buckets &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];
    /// Events that need no mail.
    pub(crate) IGNORED: IntCounterVec = "email_events_ignored_total" [reason];
    /// Promotions that are done, by what became of them.
    pub(crate) PROMOTIONS: IntCounterVec = "email_promotions_total" [outcome];
    /// Pressure at the last decision about a promotion: at 0 all are sent, at 1 none.
    pub(crate) PRESSURE: Gauge = "email_promotion_pressure";
}

/// Shows every series at zero, so that an alert can distinguish zero from a missing series.
pub(crate) fn show() {
    for kind in ["confirmed", "rejected", win_back::KIND] {
        MAILS_SENT.with_label_values(&[kind]);
        DELAY.with_label_values(&[kind]);
    }
    for reason in ["no_mail", "unknown_type"] {
        IGNORED.with_label_values(&[reason]);
    }
    for end in End::iter() {
        PROMOTIONS.with_label_values(&[<&str>::from(end)]);
    }
    register(&[&POSSIBLE_DUPLICATES, &UNKNOWN_OUTCOMES, &LEASE_WAITS, &REPEATED]);
    register(&[&LEASES_HELD]);
    register(&[&PRESSURE]);
}
