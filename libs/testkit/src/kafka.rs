//! The records of a topic, and topics and brokers for one test.

use std::{collections::BTreeMap, time::Duration};

use loadtest::kafka::{Start, TopicReader};
use muster::kafka::{PrivateBroker, start_private, start_private_behind, start_private_with_tls};
use rdkafka::{
    ClientConfig, Message,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Headers, OwnedMessage},
};

use crate::{
    ServerCertificate,
    parts::{endpoints, scratch_dir, unique, wait_for},
};

/// Time limit for messages to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit for the creation and the deletion of topics.
const CREATE_TIMEOUT: Duration = Duration::from_secs(15);

/// A message of a topic.
#[derive(Clone, Debug)]
pub struct Record {
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// The key, as text.
    pub key: Option<String>,
    /// The payload; `None` for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The headers, as text.
    pub headers: BTreeMap<String, String>,
}

/// The broker of this run.
#[derive(Debug)]
pub struct Kafka;

impl Kafka {
    /// Reads a topic from its beginning to its end, once it has `at_least` that many messages.
    ///
    /// Messages of one partition are in order. It returns all messages up to the end, so a test sees a message too many.
    pub async fn read(topic: &str, at_least: usize) -> Vec<Record> {
        Self::read_at(&endpoints().kafka_bootstrap_servers, topic, at_least).await
    }

    /// The same, at another broker.
    pub async fn read_at(bootstrap_servers: &str, topic: &str, at_least: usize) -> Vec<Record> {
        let reader = TopicReader::open(bootstrap_servers, topic, Start::Beginning).await;
        let mut reader = reader.unwrap_or_else(|error| panic!("cannot read topic {topic}: {error:#}"));
        let mut records = Vec::new();
        let what = format!("{at_least} messages in {topic}");
        wait_for(&what, READ_TIMEOUT, async || {
            while let Ok(Some(message)) = reader.next(Duration::from_millis(10)).await {
                records.push(record(&message));
            }
            let offsets = reader.offsets().await.ok()?;
            (records.len() >= at_least && reader.has_read(&offsets)).then_some(())
        })
        .await;
        records
    }
}

fn record(message: &OwnedMessage) -> Record {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    let headers = headers.map(|header| (header.key.to_owned(), header.value.map(text).unwrap_or_default()));
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(text),
        payload: message.payload().map(<[u8]>::to_vec),
        headers: headers.collect(),
    }
}

/// Topics of one test, by their names in production.
#[derive(Debug)]
pub struct Topics {
    names: BTreeMap<String, String>,
}

impl Topics {
    /// Creates a topic for each pair of name and number of partitions.
    pub async fn create(topics: &[(&str, i32)]) -> Self {
        let names: BTreeMap<_, _> =
            topics.iter().map(|(name, _)| ((*name).to_owned(), unique(name, '-'))).collect();
        let new = topics
            .iter()
            .map(|(name, partitions)| NewTopic::new(&names[*name], *partitions, TopicReplication::Fixed(1)));
        create(&endpoints().kafka_bootstrap_servers, &new.collect::<Vec<_>>()).await;
        Self { names }
    }

    /// Creates the retry topics of `topic`, one for each delay: `TOPIC.retry.DELAY`.
    pub async fn create_retry_topics(&self, topic: &str, delays: &[&str], partitions: i32) {
        let names: Vec<_> =
            delays.iter().map(|delay| format!("{}.retry.{delay}", self.name(topic))).collect();
        let new = names.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)));
        create(&endpoints().kafka_bootstrap_servers, &new.collect::<Vec<_>>()).await;
    }

    /// Deletes a topic and creates it again with one partition: empty, as after the loss of its volume.
    pub async fn recreate(&self, topic: &str) {
        let (admin, options, name) =
            (admin(&endpoints().kafka_bootstrap_servers), options(), self.name(topic));
        let deleted = admin.delete_topics(&[name], &options).await.expect("the broker answers");
        assert!(deleted.iter().all(Result::is_ok), "cannot delete topic {topic}: {deleted:?}");
        let new = [NewTopic::new(name, 1, TopicReplication::Fixed(1))];
        // The broker ends the deletion after its answer.
        wait_for(&format!("topic {name} to be created again"), CREATE_TIMEOUT, async || {
            let outcomes = admin.create_topics(&new, &options).await.ok()?;
            outcomes.iter().all(Result::is_ok).then_some(())
        })
        .await;
    }

    /// Returns the name of a topic in this test.
    pub fn name(&self, topic: &str) -> &str {
        self.names.get(topic).unwrap_or_else(|| panic!("this test has no topic {topic}"))
    }
}

async fn create(bootstrap_servers: &str, topics: &[NewTopic<'_>]) {
    if topics.is_empty() {
        return;
    }
    let outcomes = admin(bootstrap_servers).create_topics(topics, &options()).await;
    for outcome in outcomes.expect("the broker answers") {
        outcome.unwrap_or_else(|(topic, error)| panic!("cannot create topic {topic}: {error}"));
    }
}

fn admin(bootstrap_servers: &str) -> AdminClient<DefaultClientContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap_servers).create().expect("the configuration is valid")
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(CREATE_TIMEOUT)).request_timeout(Some(CREATE_TIMEOUT))
}

/// A broker for one test, which can be stopped. It ends when it is dropped.
///
/// A proxy in front of a shared broker would not work, because clients connect to the address that the broker returns.
#[derive(Debug)]
pub struct PrivateKafka(PrivateBroker);

impl PrivateKafka {
    /// Starts a broker on a free port and waits until it answers.
    pub async fn start() -> Self {
        let broker = start_private(&scratch_dir("kafka"), &endpoints().kafka_jars).await;
        Self(broker.expect("a broker starts"))
    }

    /// Starts a broker whose clients go through a proxy on this port.
    pub async fn start_behind(advertised_port: u16) -> Self {
        let (directory, jars) = (scratch_dir("kafka"), &endpoints().kafka_jars);
        Self(start_private_behind(&directory, jars, advertised_port).await.expect("a broker starts"))
    }

    /// Starts a broker that also has two ports with TLS and this certificate: one without login, one for `user`, a name and a password.
    pub async fn start_with_tls(server: &ServerCertificate, user: (&str, &str)) -> Self {
        let keystore = format!("{}{}", server.key, server.certificate);
        let broker =
            start_private_with_tls(&scratch_dir("kafka"), &endpoints().kafka_jars, &keystore, user).await;
        Self(broker.expect("a broker with TLS starts"))
    }

    /// Starts broker number 2 of the cluster whose number 1 is this one. It ends when the returned value is dropped.
    pub async fn start_second(&self) -> Self {
        Self(self.0.start_second(&scratch_dir("kafka")).await.expect("a second broker starts"))
    }

    /// Returns the `bootstrap.servers` for clients with TLS.
    pub fn tls_bootstrap_servers(&self) -> String {
        self.0.tls_bootstrap_servers().expect("the broker was started with TLS")
    }

    /// Returns the `bootstrap.servers` for clients with a login.
    pub fn login_bootstrap_servers(&self) -> String {
        self.0.login_bootstrap_servers().expect("the broker was started with TLS")
    }

    /// Creates a topic with exactly this name.
    pub async fn create_topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        create(&self.bootstrap_servers(), &[topic]).await;
    }

    /// Creates a topic with exactly this name, each partition on the broker with this number.
    pub async fn create_topic_on(&self, name: &str, brokers: &[i32]) {
        let replicas: Vec<&[i32]> = brokers.chunks(1).collect();
        let partitions = i32::try_from(brokers.len()).expect("a topic has few partitions");
        let topic = NewTopic::new(name, partitions, TopicReplication::Variable(&replicas));
        create(&self.bootstrap_servers(), &[topic]).await;
    }

    /// Returns the `bootstrap.servers` for clients without TLS.
    pub fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// Kills the broker; its data stays.
    pub async fn kill(&mut self) {
        self.0.kill().await.expect("a broker can be killed");
    }

    /// Starts it again with the same data and port, and waits until it answers.
    pub async fn restart(&mut self) {
        self.0.start().await.expect("the broker starts again");
    }
}
