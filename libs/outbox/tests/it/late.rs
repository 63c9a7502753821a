//! Rows that become visible after rows with a higher seq.

use crate::{
    child::RelayProcess,
    world::{World, event},
};

const INSERT_A: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, occurred_at)
VALUES (gen_random_uuid(), $1, 'a', 'test', 'a 0 ', now())";

/// The highest position of a bucket.
const POSITION: &str = "SELECT max(published_up_to) FROM outbox_bucket";

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_committed_after_a_later_one_is_published() {
    let world = World::new(&[("events", 1)]).await;
    let relay = world.relay().await;
    world.append("events", "b", 0, 10).await;
    world.published().await;
    let before = world.count(POSITION).await;

    let mut late = world.database.connect().await;
    let writer = late.transaction().await.unwrap();
    writer.execute(INSERT_A, &[&world.topics.name("events")]).await.unwrap();
    for number in 1..200 {
        world.append("events", "b", number, 10).await;
    }
    assert_eq!(world.records("events", 200).await.len(), 200, "later rows do not wait");
    assert_eq!(world.count(POSITION).await, before, "the position does");

    // Another relay publishes the later rows again: it cannot know.
    relay.abort().await;
    let relay = world.relay().await;
    world.records("events", 399).await;
    writer.commit().await.unwrap();
    world.published().await;
    relay.stop().await;
    let records = world.records("events", 400).await;
    assert_eq!(records.iter().filter(|record| event(record).0 == "a").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_a_long_transaction_is_published_after_its_commit_by_another_relay() {
    let world = World::new(&[("events", 1)]).await;
    let first = RelayProcess::start(&world, "");
    let mut late = world.database.connect().await;
    let writer = late.transaction().await.unwrap();
    writer.execute(INSERT_A, &[&world.topics.name("events")]).await.unwrap();
    world.append("events", "b", 0, 10).await;
    world.records("events", 1).await;
    drop(first);
    let second = world.relay().await;
    world.shared_by(1).await;
    writer.commit().await.unwrap();
    world.published().await;
    second.stop().await;
    let records = world.records("events", 2).await;
    assert!(records.iter().any(|record| event(record).0 == "a"), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_transaction_that_writes_no_event_holds_up_nothing() {
    let world = World::new(&[("events", 1)]).await;
    let mut other = world.database.connect().await;
    let long = other.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let long = long.start().await.unwrap();
    // It has a snapshot and a transaction id, and has read the outbox.
    long.query("SELECT pg_current_xact_id()::text, count(*) FROM outbox", &[]).await.unwrap();
    let relay = world.relay().await;
    for number in 0..100 {
        world.append("events", "a", number, 10).await;
    }
    world.published().await;
    relay.stop().await;
    assert_eq!(world.records("events", 100).await.len(), 100, "each once");
    long.commit().await.unwrap();
}
