//! A scrape that fails now and then delays no alert and ends none.
//!
//! When a scrape fails, Prometheus marks every series of the target as stale and sets `up` to 0.

use std::collections::BTreeSet;

use crate::{
    cause_alerts::minutes,
    pace::Pace,
    promtool::{Case, Sample},
    resources::{MIB, STARTED},
    runbooks::alerts,
};

const STEPS: u32 = 100;

/// Every so many steps a scrape fails.
const GAP: u32 = 4;

/// By this step every alert has fired, however long its `for` and its windows.
const FIRED: u32 = 80;

/// An alert on one gauge, and a value of it, in minutes or a number, at which it fires.
struct Gauge {
    alert: &'static str,
    severity: &'static str,
    series: &'static str,
    value: fn(Pace, u32) -> f64,
    /// What else it needs to be there, with a value that stays.
    beside: &'static [(&'static str, f64)],
}

const PUBLISHED: &str = r#"outbox_published_total{job="orders",instance="a"}"#;
const LAG: &str = r#"consumer_lag{job="email-consumer",topic="orders.events",partition="0"}"#;
const HANDLED: &str = r#"consumer_handled_total{job="email-consumer",topic="orders.events",outcome="done"}"#;

const GAUGES: [Gauge; 19] = [
    Gauge {
        alert: "OutboxStuck",
        severity: "ticket",
        series: r#"outbox_oldest_unpublished_seconds{job="orders",instance="a"}"#,
        value: |pace, _| minutes(pace, 6.0),
        beside: &[(PUBLISHED, 5.0)],
    },
    Gauge {
        alert: "OutboxStuck",
        severity: "page",
        series: r#"outbox_oldest_unpublished_seconds{job="orders",instance="a"}"#,
        value: |pace, _| minutes(pace, 6.0),
        beside: &[(PUBLISHED, 5.0)],
    },
    Gauge {
        alert: "ConsumerStuck",
        severity: "ticket",
        series: r#"consumer_oldest_unhandled_seconds{job="email-consumer",group="email-consumer",topic="orders.events"}"#,
        value: |pace, _| minutes(pace, 16.0),
        beside: &[],
    },
    Gauge {
        alert: "ConsumerStuck",
        severity: "page",
        series: r#"consumer_oldest_unhandled_seconds{job="email-consumer",group="email-consumer",topic="orders.events"}"#,
        value: |_, _| 61.0,
        beside: &[(LAG, 12.0), (HANDLED, 5.0)],
    },
    Gauge {
        alert: "OrdersStuck",
        severity: "ticket",
        series: r#"orders_oldest_unfinished_seconds{job="orders",instance="a"}"#,
        value: |pace, _| minutes(pace, 16.0),
        beside: &[],
    },
    Gauge {
        alert: "OrdersStuck",
        severity: "page",
        series: r#"orders_overdue{job="orders",instance="a"}"#,
        value: |_, _| 12.0,
        beside: &[],
    },
    Gauge {
        alert: "JourneyUnmeasured",
        severity: "page",
        series: r#"orders_journey_observed_timestamp_seconds{job="orders",instance="a"}"#,
        value: |_, _| 0.0,
        beside: &[],
    },
    Gauge {
        alert: "JourneyUnmeasured",
        severity: "page",
        series: r#"outbox_observed_timestamp_seconds{job="orders",instance="a"}"#,
        value: |_, _| 0.0,
        beside: &[],
    },
    Gauge {
        alert: "ConsumerLagNotShrinking",
        severity: "ticket",
        series: LAG,
        value: |_, step| f64::from(10 * step),
        beside: &[(HANDLED, 5.0)],
    },
    Gauge {
        alert: "DeadLettersPresent",
        severity: "ticket",
        series: r#"consumer_dead_letters{job="email-consumer",topic="orders.events.email-consumer.dlq"}"#,
        value: |_, _| 1.0,
        beside: &[],
    },
    Gauge {
        alert: "OrdersBlocked",
        severity: "ticket",
        series: r#"orders_blocked{job="orders",instance="a"}"#,
        value: |_, _| 1.0,
        beside: &[],
    },
    Gauge {
        alert: "OutboxRowsParked",
        severity: "ticket",
        series: r#"outbox_parked_rows{job="orders",instance="a"}"#,
        value: |_, _| 1.0,
        beside: &[],
    },
    Gauge {
        alert: "PoolSaturated",
        severity: "ticket",
        series: r#"pg_pool_connections{job="orders",instance="a",state="waiting"}"#,
        value: |_, _| 3.0,
        beside: &[],
    },
    Gauge {
        alert: "SigningKeyNearExpiry",
        severity: "ticket",
        series: r#"auth_key_expiry_timestamp_seconds{job="orders",instance="a",kid="issuer-2026"}"#,
        value: |_, _| 86_400.0,
        beside: &[],
    },
    Gauge {
        alert: "MemoryGrows",
        severity: "ticket",
        series: r#"process_resident_memory_bytes{job="orders",instance="a"}"#,
        value: |_, step| f64::from(step) * 8.0 * MIB,
        beside: &[(STARTED, 0.0)],
    },
    Gauge {
        alert: "DescriptorsNearLimit",
        severity: "ticket",
        series: r#"process_open_fds{job="orders",instance="a"}"#,
        value: |_, _| 900.0,
        beside: &[(r#"process_max_fds{job="orders",instance="a"}"#, 1024.0)],
    },
    Gauge {
        alert: "ClockSkewed",
        severity: "ticket",
        series: r#"clock_timestamp_seconds{job="url-shortener",instance="a"}"#,
        value: |pace, step| minutes(pace, f64::from(step)) + 60.0,
        beside: &[],
    },
    Gauge {
        alert: "CertificateNearExpiry",
        severity: "ticket",
        series: r#"tls_certificate_expiry_timestamp_seconds{job="url-shortener",instance="a"}"#,
        value: |_, _| 86_400.0,
        beside: &[],
    },
    Gauge {
        alert: "CertificateNearExpiry",
        severity: "page",
        series: r#"tls_certificate_expiry_timestamp_seconds{job="url-shortener",instance="a"}"#,
        value: |_, _| 0.0,
        beside: &[],
    },
];

/// Samples at every step, but for those at which the scrape fails.
fn with_gaps(value: impl Fn(u32) -> f64) -> Vec<Sample> {
    (0..STEPS)
        .map(|step| if step % GAP == GAP - 1 { Sample::Stale } else { Sample::Value(value(step)) })
        .collect()
}

fn up(job: &str) -> (String, Vec<Sample>) {
    let samples = (0..STEPS).map(|step| Sample::Value(if step % GAP == GAP - 1 { 0.0 } else { 1.0 }));
    (format!("up{{job=\"{job}\",instance=\"a\"}}"), samples.collect())
}

fn fires_all_the_time(
    alert: &'static str,
    severity: &'static str,
    rules: &'static str,
    pace: Pace,
    series: Vec<(String, Vec<Sample>)>,
) {
    let fires = (FIRED..STEPS).map(|step| (usize::try_from(step).unwrap(), alert, severity)).collect();
    Case {
        name: format!("{alert}-gaps"),
        pace,
        rules,
        step: 1,
        series,
        checks: Vec::new(),
        fires,
        values: Vec::new(),
    }
    .run();
}

#[test]
fn a_missed_scrape_neither_delays_nor_ends_an_alert_on_a_gauge() {
    for gauge in &GAUGES {
        for pace in Pace::BOTH {
            let mut series = vec![(gauge.series.to_owned(), with_gaps(|step| (gauge.value)(pace, step)))];
            let beside = gauge.beside.iter();
            series.extend(beside.map(|(name, value)| ((*name).to_owned(), with_gaps(|_| *value))));
            fires_all_the_time(gauge.alert, gauge.severity, "causes", pace, series);
        }
    }
}

#[test]
fn a_missed_scrape_does_not_hide_a_vanished_objective() {
    for pace in Pace::BOTH {
        fires_all_the_time("SliVanished", "ticket", "email-consumer", pace, vec![up("email-consumer")]);
    }
}

/// The rest is on counters, whose rates span a gap, or on `up`, which is there when a scrape fails.
#[test]
fn every_alert_on_a_gauge_is_tested() {
    let tried: BTreeSet<String> = GAUGES.iter().map(|gauge| gauge.alert.to_owned()).collect();
    let others = ["MailsMissing", "SliVanished", "TargetDown", "Watchdog"];
    let expected: BTreeSet<String> = alerts()
        .into_iter()
        .filter(|alert| !alert.ends_with("Burn") && !others.contains(&alert.as_str()))
        .collect();
    assert_eq!(tried, expected);
}
