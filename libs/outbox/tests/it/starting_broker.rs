//! A broker that has just started: it refuses what it is not the leader of yet, and knows no producer.

use testkit::PrivateKafka;
use tokio::{net::TcpListener, time::timeout};

use crate::{
    refusing_proxy::{self, First},
    world::{SOON, World, assert_complete, start_relay},
};

/// An idempotent producer of librdkafka reports the first row as written: the broker takes the second one with any sequence number, and
/// the producer concludes from it that the first was taken, too (ADR 0050).
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_refused_before_another_one_is_taken_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_address = listener.local_addr().unwrap();
    let broker = PrivateKafka::start_behind(proxy_address.port()).await;
    let mut first = refusing_proxy::start(listener, broker.bootstrap_servers(), "events");
    broker.create_topic("events", 1).await;
    let world = World::new(&[]).await;
    let relay = start_relay(&world.database.url(), &proxy_address.to_string()).await;

    world.append_to("events", "key-0", 0, 10).await;
    relay.wake();
    timeout(SOON, first.wait_for(|first| *first == First::Held)).await.unwrap().unwrap();
    world.append_to("events", "key-1", 0, 10).await;
    relay.wake();
    timeout(SOON, first.wait_for(|first| *first == First::Refused)).await.unwrap().unwrap();
    world.published().await;

    let records = testkit::Kafka::read_at(&broker.bootstrap_servers(), "events", 2).await;
    assert_complete(&records, 2, 1);
    relay.stop().await;
}
