//! Every metric of this service.

use std::sync::LazyLock;

use prometheus::{
    HistogramVec, IntCounter, IntCounterVec, register_histogram_vec, register_int_counter,
    register_int_counter_vec,
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
    LazyLock::force(&POSSIBLE_DUPLICATES);
}
