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

const USER: (&str, &str) = ("orders", "right");

fn kafka(servers: &str, login: Option<(&str, &str)>, trust: &Trust) -> Kafka {
    let mut arguments = vec!["test", "--kafka-bootstrap-servers", servers];
    match login {
        Some((user, password)) => {
            arguments.extend(["--kafka-sasl-username", user, "--kafka-sasl-password", password]);
        }
        None => arguments.extend(["--kafka-security-protocol", "ssl"]),
    }
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
async fn the_broker_is_verified_and_lets_in_who_has_the_password() {
    let authority = Authority::new();
    let broker = PrivateKafka::start_with_tls(&authority.certificate("127.0.0.1"), USER).await;
    let (open, login) = (broker.tls_bootstrap_servers(), broker.login_bootstrap_servers());
    let (trust, strangers) = (authority.trust(), Authority::new().trust());
    for accepted in [kafka(&open, None, &trust), kafka(&login, Some(USER), &trust)] {
        assert_eq!(brokers(accepted, Duration::from_secs(20)).await, Some(1));
    }
    let refused = [
        kafka(&open, None, &strangers),
        kafka(&login, Some(USER), &strangers),
        kafka(&login, Some(("orders", "wrong")), &trust),
        kafka(&login, Some(("unknown", "right")), &trust),
        kafka(&login, None, &trust),
    ];
    // At the same time, since each takes as long as it may.
    let refused = refused.map(|kafka| tokio::spawn(brokers(kafka, Duration::from_secs(2))));
    for (number, attempt) in refused.into_iter().enumerate() {
        assert_eq!(attempt.await.unwrap(), None, "{number}");
    }
}
