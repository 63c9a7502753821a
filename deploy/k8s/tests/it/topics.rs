//! Whether production has the topics that the services use, and keeps their events as long as the services assume.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    manifests::{Manifest, rendered},
    settings::value,
};

const CONSUMER: &str = "email-consumer";

fn production() -> Manifest {
    rendered().unwrap().into_iter().find(|manifest| manifest.overlay == "production").unwrap()
}

/// The specification of the topic that a setting of the consumer names.
fn topic<'a>(manifest: &'a Manifest, setting: &str) -> &'a Value {
    &manifest.find("KafkaTopic", &value(manifest, CONSUMER, setting)).unwrap()["spec"]
}

fn retry_topics(manifest: &Manifest) -> Vec<String> {
    let prefix = value(manifest, CONSUMER, "EMAIL_RETRY_TOPIC");
    let delays = value(manifest, CONSUMER, "EMAIL_RETRY_DELAYS");
    delays.split(',').map(|delay| format!("{prefix}.{}", delay.trim())).collect()
}

/// A number of days, such as `7d`, in milliseconds.
fn days_in_ms(text: &str) -> u64 {
    let days: u64 = text.strip_suffix('d').unwrap().parse().unwrap();
    days * 24 * 60 * 60 * 1000
}

/// Brokers create no topic by themselves.
#[test]
fn every_topic_of_a_service_is_created_and_no_other() {
    let production = production();
    let of_settings = [
        ("orders", "ORDERS_EVENTS_TOPIC"),
        ("orders", "ORDERS_PROMOTIONS_TOPIC"),
        (CONSUMER, "ORDERS_EVENTS_TOPIC"),
        (CONSUMER, "ORDERS_PROMOTIONS_TOPIC"),
        (CONSUMER, "EMAIL_DEAD_LETTER_TOPIC"),
    ];
    let used: BTreeSet<String> = of_settings
        .into_iter()
        .map(|(service, setting)| value(&production, service, setting))
        .chain(retry_topics(&production))
        .collect();
    let created: BTreeSet<String> = production
        .of_kind("KafkaTopic")
        .map(|topic| topic["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(created, used);
}

/// email-consumer computes from them how long it must remember a sent mail.
#[test]
fn a_topic_keeps_events_as_long_as_the_consumer_assumes() {
    let production = production();
    let pairs = [
        ("ORDERS_EVENTS_TOPIC", "ORDERS_EVENTS_RETENTION"),
        ("EMAIL_DEAD_LETTER_TOPIC", "EMAIL_DEAD_LETTER_RETENTION"),
    ];
    for (name, retention) in pairs {
        let assumed = days_in_ms(&value(&production, CONSUMER, retention));
        assert_eq!(topic(&production, name)["config"]["retention.ms"], assumed, "{name}");
    }
}

#[test]
fn a_retry_topic_has_the_partitions_of_the_events() {
    let production = production();
    let expected = &topic(&production, "ORDERS_EVENTS_TOPIC")["partitions"];
    for name in retry_topics(&production) {
        assert_eq!(production.find("KafkaTopic", &name).unwrap()["spec"]["partitions"], *expected, "{name}");
    }
}
