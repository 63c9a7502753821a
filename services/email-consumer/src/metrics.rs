//! Every metric of this service.

use std::sync::LazyLock;

use prometheus::{
    HistogramVec, IntCounter, IntCounterVec, IntGauge, register_histogram_vec, register_int_counter,
    register_int_counter_vec, register_int_gauge,
};

/// Mails that the SMTP server accepted, by `kind`.
pub(crate) static MAILS_SENT: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!("mails_sent_total", "Mails that the SMTP server accepted.", &["kind"])
        .expect("the metric is registered once")
});

/// Mails handed over again although the SMTP server may have had them already.
pub(crate) static POSSIBLE_DUPLICATES: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "email_possible_duplicates_total",
        "Mails handed over again after an attempt of which nobody knows whether the SMTP server accepted it."
    )
    .expect("the metric is registered once")
});

/// Attempts that got no answer after the end of the mail.
pub(crate) static UNKNOWN_OUTCOMES: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "email_unknown_outcomes_total",
        "Attempts to hand a mail over that got no answer after its end, so that the SMTP server may have it."
    )
    .expect("the metric is registered once")
});

/// Mails that this process has claimed and whose outcome is not recorded yet.
static LEASES_HELD: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!("email_leases_held", "Mails that are claimed and not yet recorded as sent or unsent.")
        .expect("the metric is registered once")
});

/// Claims in vain, because another claim was being worked on.
pub(crate) static LEASE_WAITS: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "email_lease_waits_total",
        "Attempts to claim a mail that another process, or an earlier one, holds under a lease."
    )
    .expect("the metric is registered once")
});

/// Events whose mail had been sent before.
pub(crate) static REPEATED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "email_repeated_events_total",
        "Events that arrived again after their mail had been sent."
    )
    .expect("the metric is registered once")
});

/// Counts a lease for as long as it lives.
pub(crate) struct LeaseHeld(());

impl LeaseHeld {
    pub(crate) fn count() -> Self {
        LEASES_HELD.inc();
        Self(())
    }
}

impl Drop for LeaseHeld {
    fn drop(&mut self) {
        LEASES_HELD.dec();
    }
}

/// Time from the event to the acceptance of its mail, by `kind`. The objective (60 s) is a bound.
pub(crate) static DELAY: LazyLock<HistogramVec> = LazyLock::new(|| {
    register_histogram_vec!(
        "email_delay_seconds",
        "Time from an event to the acceptance of its mail by the SMTP server.",
        &["kind"],
        vec![0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0]
    )
    .expect("the metric is registered once")
});

/// Events that call for no mail, by `reason`.
pub(crate) static IGNORED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!("email_events_ignored_total", "Events that call for no mail.", &["reason"])
        .expect("the metric is registered once")
});

/// Shows every series at zero, so that an alert can tell "none" from "not measured".
pub(crate) fn register() {
    for kind in ["confirmed", "rejected"] {
        MAILS_SENT.with_label_values(&[kind]);
        DELAY.with_label_values(&[kind]);
    }
    for reason in ["no_mail", "unknown_type"] {
        IGNORED.with_label_values(&[reason]);
    }
    for counter in [&POSSIBLE_DUPLICATES, &UNKNOWN_OUTCOMES, &LEASE_WAITS, &REPEATED] {
        LazyLock::force(counter);
    }
    LazyLock::force(&LEASES_HELD);
}
