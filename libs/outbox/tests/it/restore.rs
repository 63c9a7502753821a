//! A database that was restored from a backup.

use crate::world::{World, event};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_under_running_relays_every_row_is_published() {
    let mut world = World::new(&[("events", 1)]).await;
    let relays = [world.relay().await, world.relay().await];
    for number in 0..5 {
        world.append("events", "a", number, 10).await;
    }
    world.published().await;
    world.database.back_up().await;
    world.reconnect().await;
    for number in 5..50 {
        world.append("events", "a", number, 10).await;
    }
    world.published().await;

    world.database.restore().await;
    world.reconnect().await;
    // They have seqs that the relays have published before.
    for number in 50..70 {
        world.append("events", "a", number, 10).await;
    }
    world.published().await;
    for relay in relays {
        relay.stop().await;
    }
    let published: Vec<_> = world.records("events", 70).await.iter().map(|record| event(record).1).collect();
    for number in 0..70 {
        assert!(published.contains(&number), "{number}: {published:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_ahead_of_the_sequence_is_not_believed() {
    let world = World::new(&[("events", 1)]).await;
    world.append("events", "a", 0, 10).await;
    // As after a restore of the tables without the sequence.
    assert_eq!(world.count("WITH ahead AS (UPDATE outbox_bucket SET published_up_to = 1000000 RETURNING 1) SELECT count(*) FROM ahead").await, 16);
    let relay = world.relay().await;
    world.append("events", "a", 1, 10).await;
    let events: Vec<_> = world.records("events", 2).await.iter().map(event).collect();
    assert_eq!(events, [("a".to_owned(), 0), ("a".to_owned(), 1)]);
    relay.stop().await;
}
