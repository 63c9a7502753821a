//! A broker for one test: the only way to take Kafka down without taking it from everybody else. (A proxy in front of a
//! broker does not help: clients go where the broker says it is.)

use muster::kafka::{PrivateBroker, start_private, start_private_with_tls};

use crate::{ServerCertificate, Topics, endpoints, scratch_dir};

/// A broker that one test owns. It ends with this value.
#[derive(Debug)]
pub struct PrivateKafka(PrivateBroker);

impl PrivateKafka {
    /// Starts a broker on a free port and waits until it answers.
    pub async fn start() -> Self {
        let broker = start_private(&scratch_dir("kafka"), &endpoints().kafka_jars).await;
        Self(broker.unwrap_or_else(|error| panic!("cannot start a broker: {error:?}")))
    }

    /// Starts a broker that speaks TLS with this certificate too: on one port to everybody, on another to `user`, a name and a
    /// password.
    pub async fn start_with_tls(server: &ServerCertificate, user: (&str, &str)) -> Self {
        let keystore = format!("{}{}", server.key, server.certificate);
        let broker =
            start_private_with_tls(&scratch_dir("kafka"), &endpoints().kafka_jars, &keystore, user).await;
        Self(broker.unwrap_or_else(|error| panic!("cannot start a broker: {error:?}")))
    }

    /// Starts a second broker of the same cluster: this one is number 1, that one number 2. It ends with what is returned.
    pub async fn start_second(&self) -> Self {
        let broker = self.0.start_second(&scratch_dir("kafka")).await;
        Self(broker.unwrap_or_else(|error| panic!("cannot start a second broker: {error:?}")))
    }

    /// Returns what clients that speak TLS take for `bootstrap.servers`.
    pub fn tls_bootstrap_servers(&self) -> String {
        self.0.tls_bootstrap_servers().expect("the broker was started with TLS")
    }

    /// Returns what clients that log in take for `bootstrap.servers`.
    pub fn login_bootstrap_servers(&self) -> String {
        self.0.login_bootstrap_servers().expect("the broker was started with TLS")
    }

    /// Makes a topic with exactly this name.
    pub async fn create_topic(&self, name: &str, partitions: i32) {
        Topics::create_exactly(&self.bootstrap_servers(), &[(name, partitions)]).await;
    }

    /// Makes a topic with exactly this name, each partition on the broker with this number.
    pub async fn create_topic_on(&self, name: &str, brokers: &[i32]) {
        Topics::create_on(&self.bootstrap_servers(), name, brokers).await;
    }

    /// Returns what clients take for `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// Kills the broker; its data stays.
    pub async fn kill(&mut self) {
        self.0.kill().await.unwrap_or_else(|error| panic!("cannot kill the broker: {error:?}"));
    }

    /// Starts it again on the same data and port, and waits until it answers.
    pub async fn restart(&mut self) {
        self.0.start().await.unwrap_or_else(|error| panic!("cannot start the broker again: {error:?}"));
    }
}
