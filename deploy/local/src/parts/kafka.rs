//! Apache Kafka: a single node, and the topics of the product.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    types::RDKafkaErrorCode,
};

use super::{Part, Probe};
use crate::{
    config::StackConfig,
    kafka::{Node, answers},
    ports::{Ports, authority},
};

/// A topic of the product with its final partition count and its retention.
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    pub(crate) partitions: i32,
    pub(crate) retention_ms: &'static str,
}

/// The topic of the events that email-consumer gave up.
pub(crate) const DEAD_LETTERS: &str = "orders.events.email-consumer.dlq";

/// A promotion is of no use after an hour. The topic of retries for a delay has as many partitions as that of the events. Dead letters stay four times as long as events, because a
/// person handles them.
pub(crate) const TOPICS: &[Topic] = &[
    Topic { name: "orders.events", partitions: 6, retention_ms: "604800000" },
    Topic { name: "orders.events.email-consumer.retry.5s", partitions: 6, retention_ms: "604800000" },
    Topic { name: "orders.events.email-consumer.retry.1m", partitions: 6, retention_ms: "604800000" },
    Topic { name: "orders.events.email-consumer.retry.10m", partitions: 6, retention_ms: "604800000" },
    Topic { name: DEAD_LETTERS, partitions: 1, retention_ms: "2419200000" },
    Topic { name: "orders.promotions", partitions: 6, retention_ms: "86400000" },
];

/// The broker of `muster up`, with the topics of the product.
pub(crate) const KAFKA: Part = Part {
    provision: |config| Box::pin(async { create_topics(&authority(config.ports.kafka()), TOPICS).await }),
    ..KAFKA_FOR_TESTS
};

/// The broker of `muster run`: tests create their own topics.
pub(super) const KAFKA_FOR_TESTS: Part = Part {
    ports: &[("clients", Ports::kafka), ("its controller", Ports::kafka_controller)],
    address: |ports| authority(ports.kafka()),
    prepare: |config| Box::pin(async { node(config).prepare().await }),
    ..Part::new(
        "kafka",
        |config| Ok(node(config).launch()),
        Probe::Action(|config| Box::pin(answers(config.ports.kafka()))),
    )
};

pub(crate) fn node(config: &StackConfig) -> Node {
    let (jars, ports) = (jars(&config.checkout.parts_dir()), config.ports);
    Node::new(config.dir("kafka"), jars, ports.kafka(), ports.kafka_controller())
}

/// The directory that `make setup` copies Kafka's jars to.
pub(crate) fn jars(parts_dir: &Path) -> PathBuf {
    parts_dir.join("kafka")
}

/// Creates the topics that do not exist.
pub(crate) async fn create_topics(servers: &str, topics: &[Topic]) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .create()
        .context("no Kafka client can be created")?;
    let topics = topics.iter().map(|topic| {
        NewTopic::new(topic.name, topic.partitions, TopicReplication::Fixed(1))
            .set("retention.ms", topic.retention_ms)
            // Producers of events stay below half of it; a dead letter is an event with more headers.
            .set("max.message.bytes", "2000000")
    });
    let topics: Vec<NewTopic<'_>> = topics.collect();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    for outcome in admin.create_topics(&topics, &options).await.context("topics")? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => bail!("topic {topic} cannot be created: {code}"),
        }
    }
    Ok(())
}
