//! A private Kafka broker: acknowledged messages survive a kill.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use muster::{Endpoints, kafka};
use rdkafka::{
    ClientConfig, Message as _,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
};

const TOPIC: &str = "kept";

fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("group.id", "reader").set("auto.offset.reset", "earliest");
    config
}

async fn create_topic(servers: &str) {
    let admin: AdminClient<DefaultClientContext> = client(servers).create().expect("a client");
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    admin.create_topics(&[topic], &AdminOptions::new()).await.expect("the topic is created");
}

/// Reads the first message of the topic. A poll may also end without a message.
fn read_first(servers: &str) -> Option<Vec<u8>> {
    let consumer: BaseConsumer = client(servers).create().expect("a client");
    consumer.subscribe(&[TOPIC]).expect("the topic is there");
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if let Some(message) = consumer.poll(Duration::from_secs(1)) {
            return message.expect("no error is reported").payload().map(<[u8]>::to_vec);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_message_survives_a_kill_of_the_broker() {
    let endpoints = Endpoints::from_env().unwrap();
    let dir = std::env::temp_dir().join(format!("muster-broker-{}", std::process::id()));
    let mut broker = kafka::start_private(&dir, &endpoints.kafka_jars).await.unwrap();
    let servers = broker.bootstrap_servers();
    create_topic(&servers).await;
    let producer: FutureProducer = client(&servers).set("acks", "all").create().unwrap();
    let record = FutureRecord::<(), _>::to(TOPIC).payload("hello");
    producer.send(record, Duration::from_secs(10)).await.unwrap();

    broker.kill().await.unwrap();
    assert!(TcpListener::bind(&servers).is_ok(), "the broker has ended");
    broker.start().await.unwrap();

    let payload = tokio::task::spawn_blocking(move || read_first(&servers)).await.unwrap();
    assert_eq!(payload.as_deref(), Some(b"hello".as_slice()));

    drop(broker);
    std::fs::remove_dir_all(dir).unwrap();
}
