//! Partitions that take nothing, a producer that is full of their rows, and a broker that does not answer.

use std::{collections::HashSet, time::Duration};

use outbox::Backlog;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use testkit::{Kafka, PrivateKafka, wait_for};

use crate::world::{SOON, World, assert_complete, metric, start_relay};

/// Twelve partitions on a broker that dies, and two on one that lives. Twelve shares are more than the producer may hold.
const BROKERS: [i32; 14] = [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1];

/// Keys whose partition is on this broker.
fn keys(broker: i32, n: usize) -> Vec<String> {
    let keys = (0..).map(|number| format!("key-{number}"));
    let is_there = |key: &String| {
        let partition = crc32fast::hash(key.as_bytes()) as usize % BROKERS.len();
        BROKERS[partition] == broker
    };
    keys.filter(is_there).take(n).collect()
}

/// The number of records in the partitions of the living broker.
fn in_living_partitions(bootstrap_servers: &str) -> i64 {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create().unwrap();
    let end = |partition| consumer.fetch_watermarks("events", partition, SOON).unwrap().1;
    end(12) + end(13)
}

/// One after the other, because a broker of one's own is expensive.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_without_a_leader_hold_up_no_other_and_a_full_producer_loses_nothing() {
    let mut first = PrivateKafka::start().await;
    let mut second = first.start_second().await;
    first.create_topic_on("events", &BROKERS).await;
    let world = World::new(&[]).await;
    let relay = start_relay(&world.database.url(), &first.bootstrap_servers()).await;
    let (dead, alive) = (keys(2, 900), keys(1, 20));
    for key in dead.iter().chain(&alive) {
        world.append_to("events", key, 0, 10).await;
    }
    world.published().await;

    second.kill().await;
    // More than the relay looks at, and enough for each partition to fill its share.
    for number in 1..6 {
        for key in &dead {
            world.append_to("events", key, number, 10).await;
        }
    }
    for number in 1..15 {
        for key in &alive {
            world.append_to("events", key, number, 10).await;
        }
    }
    let (servers, expected) = (first.bootstrap_servers(), i64::try_from(alive.len() * 15).unwrap());
    wait_for("the others to be published", SOON, async || {
        (in_living_partitions(&servers) == expected).then_some(())
    })
    .await;
    let unpublished = u64::try_from(dead.len() * 5).unwrap();
    let is_overtaken = |backlog: &Backlog| backlog.unpublished == unpublished && backlog.front_age.is_zero();
    relay.measures("the backlog of the dead partitions alone", is_overtaken).await;
    wait_for("the gauge", SOON, async || (metric("outbox_stalled_partitions") > 0.0).then_some(())).await;
    assert!(metric("outbox_in_flight_rows") <= 2_048.0);

    first.kill().await;
    for number in 15..18 {
        for key in &alive {
            world.append_to("events", key, number, 900_000).await;
        }
    }
    wait_for("the living partitions to be full", SOON, async || {
        let held = metric("outbox_in_flight_bytes");
        assert!(held <= f64::from(8 << 20), "{held}");
        // Two shares of 2 MiB.
        (held > 3.6e6).then_some(())
    })
    .await;

    let stands = |backlog: &Backlog| backlog.front_age > Duration::from_secs(2);
    relay.measures("the front to stand still", stands).await;

    first.restart().await;
    second.restart().await;
    world.published().await;
    relay
        .measures("an empty backlog", |backlog| backlog.unpublished == 0 && backlog.front_age.is_zero())
        .await;
    relay.stop().await;
    let total = dead.len() * 6 + alive.len() * 18;
    let records = Kafka::read_at(&first.bootstrap_servers(), "events", total).await;
    let (of_dead, of_alive): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| dead.contains(record.key.as_ref().unwrap()));
    assert_complete(&of_dead, dead.len(), 6);
    assert_complete(&of_alive, alive.len(), 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_renewed_while_the_metadata_of_many_topics_cannot_be_fetched() {
    let world = World::new(&[]).await;
    for number in 0..10 {
        world.append_to(&format!("topic-{number}"), "key", 0, 10).await;
    }
    // Nothing answers at this port.
    let relay = start_relay(&world.database.url(), "127.0.0.1:1").await;
    world.shared_by(1).await;

    let client = world.database.connect().await;
    let sql = "SELECT bool_and(lease_until > clock_timestamp()), max(lease_until)::text FROM outbox_bucket";
    let mut renewals = HashSet::new();
    wait_for("five renewals", SOON, async || {
        let row = client.query_one(sql, &[]).await.unwrap();
        assert!(row.get::<_, bool>(0), "a lease has ended after {} renewals", renewals.len());
        renewals.insert(row.get::<_, String>(1));
        (renewals.len() > 5).then_some(())
    })
    .await;
    relay.stop().await;
}
