//! Topics of its own for each test.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use crate::parts::{endpoints, unique};

/// How long the broker may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Topics that no other test has, by the names that they have in production.
#[derive(Debug)]
pub struct Topics {
    names: BTreeMap<String, String>,
}

impl Topics {
    /// Makes a topic for each pair of name and number of partitions.
    pub async fn create(topics: &[(&str, i32)]) -> Self {
        let names: BTreeMap<_, _> =
            topics.iter().map(|(name, _)| ((*name).to_owned(), unique(name, '-'))).collect();
        let exact: Vec<_> =
            topics.iter().map(|(name, partitions)| (names[*name].as_str(), *partitions)).collect();
        Self::create_exactly(&endpoints().kafka_bootstrap_servers, &exact).await;
        Self { names }
    }

    /// Makes topics with exactly these names on any broker.
    pub(crate) async fn create_exactly(bootstrap_servers: &str, topics: &[(&str, i32)]) {
        let new: Vec<_> = topics
            .iter()
            .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)))
            .collect();
        create(bootstrap_servers, &new).await;
    }

    /// Makes a topic with exactly this name, each partition on the broker with this number.
    pub(crate) async fn create_on(bootstrap_servers: &str, name: &str, brokers: &[i32]) {
        let replicas: Vec<[i32; 1]> = brokers.iter().map(|broker| [*broker]).collect();
        let replicas: Vec<&[i32]> = replicas.iter().map(<[i32; 1]>::as_slice).collect();
        let partitions = i32::try_from(brokers.len()).expect("a topic has few partitions");
        create(bootstrap_servers, &[NewTopic::new(name, partitions, TopicReplication::Variable(&replicas))])
            .await;
    }

    /// Returns what the topic is called in this test.
    pub fn name(&self, topic: &str) -> &str {
        self.names.get(topic).unwrap_or_else(|| panic!("no topic {topic} was made for this test"))
    }
}

async fn create(bootstrap_servers: &str, topics: &[NewTopic<'_>]) {
    if topics.is_empty() {
        return;
    }
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    let outcomes =
        admin(bootstrap_servers).create_topics(topics, &options).await.expect("the broker answers");
    for outcome in outcomes {
        outcome.unwrap_or_else(|(topic, error)| panic!("cannot make topic {topic}: {error}"));
    }
}

fn admin(bootstrap_servers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .create()
        .expect("this configuration is valid")
}
