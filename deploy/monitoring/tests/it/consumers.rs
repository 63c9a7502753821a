//! Alerts on what a consumer does with its events: lag, dead letters, missing mails.

use crate::{
    cause_alerts::{case, fires, labels, minutes, series, silent},
    pace::Pace,
    promtool::{Firing, constant, values},
};

pub(crate) const LAG: &str = r#"consumer_lag{job="email-consumer",topic="orders.events",partition="0"}"#;
const OTHER_LAG: &str = r#"consumer_lag{job="email-consumer",topic="orders.events",partition="1"}"#;
pub(crate) const HANDLED: &str =
    r#"consumer_handled_total{job="email-consumer",topic="orders.events",outcome="done"}"#;
pub(crate) const RETRIED: &str =
    r#"consumer_handled_total{job="email-consumer",topic="orders.events",outcome="unavailable"}"#;

#[test]
fn lag_that_grows_while_nothing_is_handled_opens_a_ticket() {
    let growing = (0..22).map(|step| f64::from(10 * (step - 15_i32).max(0))).chain([0.0, 0.0]);
    let growing: Vec<_> = growing.collect();
    for pace in Pace::BOTH {
        let firing = Firing {
            labels: labels("email-consumer", "ticket", [("topic", "orders.events")]),
            summary: "email-consumer does not keep up with orders.events".to_owned(),
            description: "Impact: 60 events wait, and the number does not fall; their mails are late or \
                          will be.\nBudget left: mail-freshness loses every event that waits longer than 60 s."
                .to_owned(),
        };
        let series = series([
            (LAG, values(growing.clone())),
            (OTHER_LAG, constant(0.0, 24)),
            (HANDLED, constant(5.0, 24)),
            (RETRIED, values((0..24).map(f64::from))),
        ]);
        case("ConsumerLagNotShrinking", pace, series, fires("ConsumerLagNotShrinking", 21, &firing, 22));
    }
}

#[test]
fn lag_that_shrinks_or_is_small_opens_no_ticket() {
    for pace in Pace::BOTH {
        let shrinking = values((0..60).map(|step| f64::from(10_000 - 10 * step)));
        let slow = series([(LAG, shrinking), (HANDLED, values((0..60).map(|step| f64::from(10 * step))))]);
        case("ConsumerLag-shrinking", pace, slow, silent("ConsumerLagNotShrinking", 60));

        let busy = values((0..60).map(|step| f64::from(600 * step)));
        let busy = series([(LAG, constant(2_900.0, 60)), (HANDLED, busy)]);
        // The rate needs two samples, and the offset needs ten minutes.
        case("ConsumerLag-busy", pace, busy, silent("ConsumerLagNotShrinking", 60));
    }
}

#[test]
fn one_dead_letter_opens_a_ticket_until_it_is_replayed_or_discarded() {
    for pace in Pace::BOTH {
        let firing = Firing {
            labels: labels("email-consumer", "ticket", [("topic", "orders.events.email-consumer.dlq")]),
            summary: "email-consumer gave up on 1 events".to_owned(),
            description: "Impact: 1 letters in orders.events.email-consumer.dlq are open; customers wait for the mails, \
                          and no retry sends them.\nBudget left: mail-freshness has counted each of them as late."
                .to_owned(),
        };
        let letters =
            r#"consumer_dead_letters{job="email-consumer",topic="orders.events.email-consumer.dlq"}"#;
        let series = series([(letters, values([0.0, 0.0, 1.0, 1.0, 0.0]))]);
        case("DeadLettersPresent", pace, series, fires("DeadLettersPresent", 2, &firing, 4));
    }
}

#[test]
fn events_that_are_done_without_a_mail_page() {
    for pace in Pace::BOTH {
        let firing = Firing {
            labels: labels("email-consumer", "page", []),
            summary: "email-consumer reports events as done whose mails were not sent".to_owned(),
            description: "Impact: about 60 mails of the last ten minutes were not sent, and no retry sends them.\nBudget \
                          left: mail-freshness does not count them."
                .to_owned(),
        };
        let each_minute = |n_events: i32| values((0..40).map(move |step| f64::from(n_events * step)));
        let sent =
            values((0..40).map(|step| f64::from(10 * if step < 20 { step.min(10) } else { step - 10 })));
        let series = series([
            (HANDLED, each_minute(20)),
            (RETRIED, each_minute(7)),
            (r#"email_events_ignored_total{job="email-consumer",reason="no_mail"}"#, each_minute(8)),
            (r#"email_repeated_events_total{job="email-consumer"}"#, each_minute(2)),
            (r#"mails_sent_total{job="email-consumer",kind="confirmed"}"#, sent),
        ]);
        case("MailsMissing", pace, series, fires("MailsMissing", 17, &firing, 30));
    }
}

#[test]
fn events_that_are_done_some_minutes_after_their_mails_do_not_page() {
    for pace in Pace::BOTH {
        let from = |step: i32| values((0..30).map(move |now| if now < step { 0.0 } else { 60.0 }));
        let series = series([
            (HANDLED, from(14)),
            (r#"email_events_ignored_total{job="email-consumer",reason="no_mail"}"#, constant(0.0, 30)),
            (r#"email_repeated_events_total{job="email-consumer"}"#, constant(0.0, 30)),
            (r#"mails_sent_total{job="email-consumer",kind="confirmed"}"#, from(11)),
        ]);
        case("MailsMissing", pace, series, silent("MailsMissing", 30));
    }
}

#[test]
fn promotions_that_wait_open_one_ticket_and_no_page() {
    for pace in Pace::BOTH {
        let waited = |step: i32| minutes(pace, f64::from(step.min(17)));
        let firing = Firing {
            labels: labels("email-consumer", "ticket", [("topic", "orders.promotions")]),
            summary: "email-consumer does not handle an event of orders.promotions".to_owned(),
            description: format!(
                "Impact: the oldest event has waited for {}; promotions are dropped 45 minutes after their event, unread ones after \
                 an hour.\nBudget left: no objective counts promotions.",
                pace.either("16m 0s", "16s")
            ),
        };
        let oldest = r#"consumer_oldest_unhandled_seconds{job="email-consumer",topic="orders.promotions"}"#;
        let series = series([
            (oldest, values((0..30).map(waited).chain([0.0]))),
            (
                r#"consumer_lag{job="email-consumer",topic="orders.promotions",partition="0"}"#,
                constant(500.0, 31),
            ),
            (
                r#"consumer_handled_total{job="email-consumer",topic="orders.promotions",outcome="done"}"#,
                constant(5.0, 31),
            ),
        ]);
        let checks = fires("ConsumerStuck", 16, &firing, 30);
        let checks = checks.into_iter().chain(silent("ConsumerLagNotShrinking", 30)).collect();
        case("ConsumerStuck-promotions", pace, series, checks);
    }
}

#[test]
fn promotions_without_a_mail_do_not_page() {
    for pace in Pace::BOTH {
        let done = r#"consumer_handled_total{job="email-consumer",topic="orders.promotions",outcome="done"}"#;
        let series = series([
            (HANDLED, constant(0.0, 30)),
            (done, values((0..30).map(|step| f64::from(100 * step)))),
            (r#"email_events_ignored_total{job="email-consumer",reason="no_mail"}"#, constant(0.0, 30)),
            (r#"email_repeated_events_total{job="email-consumer"}"#, constant(0.0, 30)),
            (r#"mails_sent_total{job="email-consumer",kind="confirmed"}"#, constant(0.0, 30)),
        ]);
        case("MailsMissing-promotions", pace, series, silent("MailsMissing", 30));
    }
}
