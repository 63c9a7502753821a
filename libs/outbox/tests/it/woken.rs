//! A wake-up of one replica's relay reaches the relays of the others.

use crate::world::{World, assert_complete};

/// Keys in the buckets of both relays.
const KEYS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_buckets_of_another_replica_are_published_without_its_poll() {
    let world = World::new(&[("events", 3)]).await;
    let writer = world.relay_without_poll().await;
    let other = world.relay_without_poll().await;
    world.shared_by(2).await;
    for key in 0..KEYS {
        world.append("events", &format!("key-{key}"), 0, 100).await;
    }
    let owners = "SELECT count(DISTINCT session) FROM outbox JOIN outbox_bucket USING (bucket)";
    assert_eq!(world.count(owners).await, 2, "both relays have rows");

    writer.wake();

    world.published().await;
    assert_complete(&world.records("events", KEYS).await, KEYS, 1);
    writer.stop().await;
    other.stop().await;
}
