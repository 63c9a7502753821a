//! Apache Kafka, one node, and the topics of the product.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use crate::kafka::{Node, answers};
use crate::part::{Part, Step};
use crate::ports::authority;
use crate::process::Launch;
use crate::stack::StackConfig;

/// A topic of the product with its final partition count and how long it keeps messages.
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    pub(crate) partitions: i32,
    pub(crate) retention_ms: &'static str,
}

/// Dead letters stay four times as long as events: a person has to get round to them.
pub(crate) const TOPICS: &[Topic] = &[
    Topic { name: "orders.events", partitions: 6, retention_ms: "604800000" },
    Topic { name: "orders.events.email-consumer.dlq", partitions: 1, retention_ms: "2419200000" },
];

/// The broker of a stack.
pub(crate) struct Kafka {
    node: Node,
    topics: &'static [Topic],
}

impl Kafka {
    pub(crate) fn new(config: &Arc<StackConfig>, topics: &'static [Topic]) -> Self {
        let node = Node {
            jars: jars(&config.checkout.parts_dir()),
            dir: config.dir("kafka"),
            tmp: config.dir("tmp"),
            port: config.ports.kafka(),
            controller_port: config.ports.kafka_controller(),
            tls: None,
            joins: None,
        };
        Self { node, topics }
    }
}

/// Where `make setup` puts Kafka's jars.
pub(crate) fn jars(parts_dir: &Path) -> PathBuf {
    parts_dir.join("kafka")
}

impl Part for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        vec![("clients", self.node.port), ("its controller", self.node.controller_port)]
    }

    fn address(&self) -> String {
        authority(self.node.port)
    }

    fn prepare(&self) -> Step<'_> {
        Box::pin(self.node.prepare())
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        Ok(self.node.launch())
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(answers(self.node.port))
    }

    fn provision(&self) -> Step<'_> {
        Box::pin(async { create_topics(&authority(self.node.port), self.topics).await })
    }
}

/// Makes the topics that are not there yet.
pub(crate) async fn create_topics(servers: &str, topics: &[Topic]) -> anyhow::Result<()> {
    if topics.is_empty() {
        return Ok(());
    }
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .create()
        .context("no Kafka client can be made")?;
    let wanted: Vec<NewTopic<'_>> = topics.iter().map(Topic::definition).collect();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    for outcome in admin.create_topics(&wanted, &options).await.context("topics")? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => bail!("topic {topic} cannot be made: {code}"),
        }
    }
    Ok(())
}

impl Topic {
    fn definition(&self) -> NewTopic<'_> {
        NewTopic::new(self.name, self.partitions, TopicReplication::Fixed(1))
            .set("retention.ms", self.retention_ms)
            // Producers of events stay below half of it; a dead letter is one of theirs with more headers.
            .set("max.message.bytes", "2000000")
    }
}
