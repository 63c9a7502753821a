//! A broker with a TLS listener.

use std::time::Duration;

use clap::Parser;
use events::{Kafka, KafkaConfig};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use testkit::{Authority, PrivateKafka};
use tls::Trust;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    kafka: KafkaConfig,
}

fn kafka(servers: &str, trust: &Trust) -> Kafka {
    let arguments = ["test", "--kafka-bootstrap-servers", servers, "--kafka-security-protocol", "ssl"];
    Settings::parse_from(arguments).kafka.kafka(trust).unwrap()
}

/// Asks the broker who it is.
async fn brokers(kafka: Kafka, patience: Duration) -> Option<usize> {
    let ask = move || {
        let mut config = ClientConfig::new();
        for (property, value) in kafka.properties() {
            config.set(property, value);
        }
        let client: BaseConsumer = config.create().unwrap();
        Some(client.fetch_metadata(None, patience).ok()?.brokers().len())
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

#[tokio::test]
async fn the_broker_is_verified() {
    let authority = Authority::new();
    let broker = PrivateKafka::start_with_tls(&authority.certificate("127.0.0.1")).await;
    let servers = broker.tls_bootstrap_servers();
    let trusting = kafka(&servers, &authority.trust());
    assert_eq!(brokers(trusting, Duration::from_secs(20)).await, Some(1));

    let strangers = kafka(&servers, &Authority::new().trust());
    assert_eq!(brokers(strangers, Duration::from_secs(2)).await, None);
}
