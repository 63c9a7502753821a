//! Where the broker is, and how to speak to it. Producers and consumers share the settings, so they stand beside what they
//! exchange.

use std::fmt;

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use strum::IntoStaticStr;
use thiserror::Error;
use tls::Trust;

/// What Strimzi gives its users, and the stronger of the two that Kafka has.
const SASL_MECHANISM: &str = "SCRAM-SHA-512";

/// How to reach the Kafka cluster.
#[derive(Args, Clone, Debug)]
#[group(skip)]
#[command(about = None, long_about = None)]
#[expect(clippy::struct_field_names, reason = "a field's name is the name of its environment variable")]
pub struct KafkaConfig {
    /// Brokers to start from, `host:port` separated by commas.
    #[arg(long, env)]
    pub kafka_bootstrap_servers: String,

    /// How to speak to the brokers. By default `plaintext` to those on this machine; to others `sasl_ssl` with a user, and `ssl`
    /// without one.
    #[arg(long, env, value_enum)]
    pub kafka_security_protocol: Option<SecurityProtocol>,

    /// User for `sasl_ssl`, with SCRAM-SHA-512.
    #[arg(long, env, value_name = "NAME")]
    pub kafka_sasl_username: Option<String>,

    /// Password of that user.
    #[arg(long, env, hide_env_values = true, value_name = "PASSWORD")]
    pub kafka_sasl_password: Option<SecretString>,
}

/// `security.protocol` of Kafka's clients. A password is never sent in plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, IntoStaticStr)]
#[value(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// Encrypted; the broker's certificate is verified.
    Ssl,
    /// The same, and the client names itself with a user and a password.
    SaslSsl,
}

/// What is wrong with the settings.
#[derive(Debug, Error)]
pub enum KafkaConfigError {
    /// A user without a password or without encryption, or none where one is needed.
    #[error(
        "KAFKA_SECURITY_PROTOCOL=sasl_ssl needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and these need \
         KAFKA_SECURITY_PROTOCOL=sasl_ssl; set all three, or none"
    )]
    Sasl,
}

/// How to reach the Kafka cluster, checked: properties that every client of it has in common.
#[derive(Clone)]
pub struct Kafka {
    properties: Vec<(&'static str, String)>,
}

impl KafkaConfig {
    /// Checks the settings. Brokers are verified against `trust`.
    pub fn kafka(&self, trust: &Trust) -> Result<Kafka, KafkaConfigError> {
        let credentials = match (&self.kafka_sasl_username, &self.kafka_sasl_password) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            _ => return Err(KafkaConfigError::Sasl),
        };
        let protocol = self.kafka_security_protocol.unwrap_or_else(|| self.default_protocol());
        if (protocol == SecurityProtocol::SaslSsl) != credentials.is_some() {
            return Err(KafkaConfigError::Sasl);
        }
        let mut kafka = Kafka::new(&self.kafka_bootstrap_servers, protocol);
        if protocol != SecurityProtocol::Plaintext {
            kafka.properties.push(("ssl.ca.pem", trust.pem()));
        }
        if let Some((user, password)) = credentials {
            kafka.properties.extend([
                ("sasl.mechanisms", SASL_MECHANISM.to_owned()),
                ("sasl.username", user.clone()),
                ("sasl.password", password.expose_secret().to_owned()),
            ]);
        }
        Ok(kafka)
    }

    fn default_protocol(&self) -> SecurityProtocol {
        if self.kafka_sasl_username.is_some() {
            SecurityProtocol::SaslSsl
        } else if self.kafka_bootstrap_servers.split(',').all(|server| tls::is_loopback(host(server))) {
            SecurityProtocol::Plaintext
        } else {
            SecurityProtocol::Ssl
        }
    }
}

impl Kafka {
    /// Brokers that are spoken to in plaintext.
    pub fn plaintext(bootstrap_servers: &str) -> Self {
        Self::new(bootstrap_servers, SecurityProtocol::Plaintext)
    }

    fn new(bootstrap_servers: &str, protocol: SecurityProtocol) -> Self {
        let protocol: &str = protocol.into();
        let properties = [("bootstrap.servers", bootstrap_servers), ("security.protocol", protocol)];
        Self { properties: properties.map(|(name, value)| (name, value.to_owned())).to_vec() }
    }

    /// Properties for librdkafka. They hold a password.
    pub fn properties(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.properties.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

/// Without the values, one of which is a password.
impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.properties.iter().map(|(name, _)| name)).finish()
    }
}

/// The host in `[protocol://]host[:port]`.
fn host(server: &str) -> &str {
    let address = server.trim();
    let address = address.split_once("://").map_or(address, |(_, address)| address);
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        kafka: KafkaConfig,
    }

    fn kafka(arguments: &[&str]) -> Result<Kafka, KafkaConfigError> {
        Settings::parse_from([&["test"], arguments].concat()).kafka.kafka(&Trust::none())
    }

    fn protocol(arguments: &[&str]) -> String {
        let kafka = kafka(arguments).unwrap();
        let mut found = kafka.properties().filter(|(name, _)| *name == "security.protocol");
        let (_, protocol) = found.next().unwrap();
        assert_eq!(found.next(), None);
        protocol.to_owned()
    }

    const USER: [&str; 4] = ["--kafka-sasl-username", "orders", "--kafka-sasl-password", "secret"];

    #[test]
    fn plaintext_is_the_default_to_this_machine_only() {
        let at = |servers| ["--kafka-bootstrap-servers", servers];
        for here in ["127.0.0.1:9092", "localhost:9092,[::1]:9092", "PLAINTEXT://127.0.0.1:9092"] {
            assert_eq!(protocol(&at(here)), "plaintext", "{here}");
        }
        for elsewhere in ["kafka:9092", "127.0.0.1:9092, kafka:9092", "PLAINTEXT://kafka:9092"] {
            assert_eq!(protocol(&at(elsewhere)), "ssl", "{elsewhere}");
        }
        assert_eq!(protocol(&[&at("kafka:9092")[..], &USER].concat()), "sasl_ssl");
        let words = [&at("kafka:9092")[..], &["--kafka-security-protocol", "plaintext"]].concat();
        assert_eq!(protocol(&words), "plaintext");
    }

    #[test]
    fn a_password_goes_with_a_user_and_over_tls_and_appears_in_no_log() {
        let server = ["--kafka-bootstrap-servers", "kafka:9092"];
        for wrong in [
            &["--kafka-sasl-username", "orders"][..],
            &["--kafka-sasl-password", "secret"],
            &["--kafka-security-protocol", "sasl_ssl"],
            &[&USER[..], &["--kafka-security-protocol", "plaintext"]].concat(),
            &[&USER[..], &["--kafka-security-protocol", "ssl"]].concat(),
        ] {
            assert!(kafka(&[&server[..], wrong].concat()).is_err(), "{wrong:?}");
        }
        let right = kafka(&[&server[..], &USER].concat()).unwrap();
        assert!(right.properties().any(|property| property == ("sasl.password", "secret")));
        assert!(!format!("{right:?}").contains("secret"));
    }
}
