//! A key keeps the partition that librdkafka would choose.

use std::collections::BTreeMap;

use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use testkit::endpoints;

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn keys_have_the_partition_that_librdkafka_chooses() {
    let world = World::new(&[("events", 7)]).await;
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &endpoints().kafka_bootstrap_servers).create().unwrap();
    let keys: Vec<_> = (0..40).map(|_| uuid::Uuid::now_v7().to_string()).chain(["ä".to_owned()]).collect();
    let mut expected = BTreeMap::new();
    for key in &keys {
        let record = FutureRecord::to(world.topics.name("events")).key(key).payload("");
        expected.insert(key.clone(), producer.send(record, SOON).await.unwrap().partition);
        world.append("events", key, 0, 10).await;
    }
    let relay = world.relay().await;
    world.published().await;
    relay.stop().await;
    let records = world.records("events", 2 * keys.len()).await;
    for record in records.iter().filter(|record| record.headers.contains_key("event-id")) {
        let key = record.key.as_ref().unwrap();
        assert_eq!(record.partition, expected[key], "{key}");
    }
}
