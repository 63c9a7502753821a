//! A consumer in Python reads what this service writes: `libs/events/examples/python`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use chrono::DateTime;
use serde_json::{Value, json};
use testkit::{Authority, PrivateKafka, endpoints};
use tokio::{process::Command, time};
use uuid::Uuid;

use crate::app::{App, Parts, id, order};

/// Time limit for the program to start, join its group and read four events.
const TIMEOUT: Duration = Duration::from_mins(1);

const EVENTS: &str = "orders.events";

type Settings<'a> = BTreeMap<&'a str, &'a str>;

/// Runs the consumer until it has read so many events, and returns them.
async fn read(topic: &str, kafka: &Settings<'_>, count: usize) -> Vec<Value> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = checkout.join(".muster/tools/python-consumer/bin/python");
    assert!(python.is_file(), "{} is missing: run the tests with `make test`", python.display());
    let output = Command::new(python)
        .arg(checkout.join("libs/events/examples/python/consumer.py"))
        .args(["--group", topic, "--timeout", "30", "--count", &count.to_string()])
        .env("ORDERS_EVENTS_TOPIC", topic)
        .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
        .envs(kafka)
        .kill_on_drop(true)
        .output();
    let output = time::timeout(TIMEOUT, output).await.expect("the consumer ends in time").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The events of one order, by their type.
fn of_order<'a>(events: &'a [Value], order: &Value) -> Vec<(&'a str, &'a Value)> {
    let of_order = events.iter().filter(|event| event["key"] == order["id"]);
    of_order.map(|event| (event["headers"]["event-type"].as_str().unwrap(), event)).collect()
}

/// What each event of an order has in common.
fn assert_is_of(event: &Value, order: &Value, lines: &Value, total: i64) {
    let headers = &event["headers"];
    assert!(headers["event-id"].as_str().unwrap().parse::<Uuid>().is_ok(), "{headers}");
    assert!(DateTime::parse_from_rfc3339(headers["occurred-at"].as_str().unwrap()).is_ok(), "{headers}");
    assert!(headers["traceparent"].as_str().unwrap().starts_with("00-"), "{headers}");
    let event = &event["event"];
    assert_eq!(event["order_id"], order["id"]);
    assert_eq!(event["tenant"], "acme");
    assert_eq!(event["customer_email"], "ada@example.com");
    assert_eq!(&event["lines"], lines);
    assert_eq!((&event["total_minor"], &event["currency"]), (&json!(total), &json!("EUR")));
}

/// Places an order that is confirmed and one that is rejected, and compares what the consumer reads.
async fn assert_every_type_is_read(app: &App, kafka: &Settings<'_>) {
    let confirmed = app.place(&order("TEA", 2)).await;
    let rejected = app.place(&order("GONE", 1)).await;
    for order in [&confirmed, &rejected] {
        app.settled(id(order)).await;
    }

    let events = read(app.topics.name(EVENTS), kafka, 4).await;

    let tea = json!([{ "sku": "TEA", "name": "Tea", "quantity": 2, "unit_price_minor": 499 }]);
    let gone = json!([{ "sku": "GONE", "name": "Gone", "quantity": 1, "unit_price_minor": 100 }]);
    let is_time = |time: &Value| DateTime::parse_from_rfc3339(time.as_str().unwrap()).is_ok();
    let [("muster.orders.OrderPlaced", first), ("muster.orders.OrderConfirmed", second)] =
        of_order(&events, &confirmed)[..]
    else {
        panic!("{events:?}")
    };
    for event in [first, second] {
        assert_is_of(event, &confirmed, &tea, 998);
    }
    assert!(is_time(&first["event"]["placed_at"]) && is_time(&second["event"]["confirmed_at"]), "{events:?}");
    let tracking_url = second["event"]["tracking_url"].as_str().unwrap();
    assert!(tracking_url.starts_with("http://orders.example/track/"), "{tracking_url}");

    let [("muster.orders.OrderPlaced", first), ("muster.orders.OrderRejected", second)] =
        of_order(&events, &rejected)[..]
    else {
        panic!("{events:?}")
    };
    for event in [first, second] {
        assert_is_of(event, &rejected, &gone, 100);
    }
    assert!(is_time(&second["event"]["rejected_at"]), "{events:?}");
    assert!(!second["event"]["reason"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_python_consumer_reads_every_type_of_event() {
    let app = App::start().await;
    let kafka = [("KAFKA_BOOTSTRAP_SERVERS", endpoints().kafka_bootstrap_servers.as_str())];
    assert_every_type_is_read(&app, &Settings::from(kafka)).await;
}

#[tokio::test]
async fn a_python_consumer_logs_in_over_tls() {
    let authority = Authority::new();
    let user = ("orders", "right");
    let broker = PrivateKafka::start_with_tls(&authority.certificate("127.0.0.1"), user).await;
    let parts = Parts::make().await;
    broker.create_topic(parts.topics.name(EVENTS), 3).await;
    let servers = broker.login_bootstrap_servers();
    let kafka = Settings::from([
        ("KAFKA_BOOTSTRAP_SERVERS", servers.as_str()),
        ("KAFKA_SASL_USERNAME", user.0),
        ("KAFKA_SASL_PASSWORD", user.1),
        ("TLS_EXTRA_CA_FILE", authority.file().to_str().unwrap()),
    ]);
    let service = kafka.iter().fold(parts.service(), |service, (name, value)| service.env(name, value));
    let process = service.spawn().await;
    assert_every_type_is_read(&parts.with(process), &kafka).await;
}
