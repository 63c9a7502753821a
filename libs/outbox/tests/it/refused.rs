//! What the broker refuses: a batch that is too large, and an event that is too large alone.

use crate::world::{World, assert_complete, event, metric};

const REFUSED: &str = "SELECT count(*) FROM outbox_parked WHERE refused";

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_the_broker_refuses_leaves_in_smaller_ones() {
    let world = World::new(&[("events", 2)]).await;
    world.configure("events", "max.message.bytes", "1000").await;
    for number in 0..3 {
        for key in 0..50 {
            world.append("events", &format!("key-{key}"), number, 500).await;
        }
    }
    let relay = world.relay().await;
    world.published().await;
    relay.stop().await;
    assert_eq!(world.count(REFUSED).await, 0);
    let records = world.records("events", 150).await;
    assert_eq!(records.len(), 150, "each once");
    assert_complete(&records, 50, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn tracestate_and_baggage_stay_with_an_event_that_is_parked_and_put_back() {
    let world = World::new(&[("events", 1)]).await;
    world.configure("events", "max.message.bytes", "1000").await;
    let insert =
        "INSERT INTO outbox (event_id, topic, key, event_type, payload, tracestate, baggage, occurred_at)
        VALUES (gen_random_uuid(), $1, 'a', 'test', repeat('.', 5000)::bytea, $2, $3, now())";
    let (tracestate, baggage) = ("vendor=opaque,other=1", "k=a=b;prop=1,x=%20y");
    let client = world.database.connect().await;
    client.execute(insert, &[&world.topics.name("events"), &tracestate, &baggage]).await.unwrap();
    let relay = world.relay().await;
    world.until("the event to be parked", REFUSED, 1).await;

    world.configure("events", "max.message.bytes", "10000").await;
    assert_eq!(world.count("SELECT outbox_requeue()").await, 1);
    let records = world.records("events", 1).await;
    relay.stop().await;
    assert_eq!((&*records[0].headers["tracestate"], &*records[0].headers["baggage"]), (tracestate, baggage));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_alone_is_parked_and_holds_up_its_key_until_it_is_put_back() {
    let world = World::new(&[("events", 1)]).await;
    world.configure("events", "max.message.bytes", "1000").await;
    world.append("events", "a", 0, 500).await;
    world.append("events", "a", 1, 5_000).await;
    world.append("events", "a", 2, 500).await;
    for number in 0..100 {
        world.append("events", "b", number, 500).await;
    }
    let relay = world.relay().await;
    world.until("the event to be parked", REFUSED, 1).await;
    world.published().await;
    let parked: String = world
        .database
        .connect()
        .await
        .query_one("SELECT key || ' ' || reason FROM outbox_parked WHERE refused", &[])
        .await
        .unwrap()
        .get(0);
    assert!(parked.starts_with("a ") && parked.contains("MessageSizeTooLarge"), "{parked}");
    let waits = "SELECT count(*) FROM outbox_parked WHERE key = 'a' AND NOT refused";
    world.until("the event behind it to wait", waits, 1).await;
    relay.measures("parked events not to count", |backlog| backlog.unpublished == 0).await;
    assert_eq!(world.records("events", 101).await.len(), 101);
    assert!(metric("outbox_parked_total") >= 1.0);
    testkit::wait_for("the gauge", crate::world::SOON, async || {
        (metric("outbox_parked_rows") >= 1.0).then_some(())
    })
    .await;

    // Put back too early it is parked again.
    assert_eq!(world.count("SELECT outbox_requeue()").await, 1);
    world.until("the event to be parked again", REFUSED, 1).await;

    world.configure("events", "max.message.bytes", "10000").await;
    world.append("events", "a", 3, 500).await;
    world.until("the later event to wait, too", waits, 2).await;
    assert_eq!(world.count("SELECT outbox_requeue(event_id) FROM outbox_parked WHERE refused").await, 1);
    world.append("events", "a", 4, 500).await;
    world.published().await;
    assert_eq!(world.count("SELECT count(*) FROM outbox_parked").await, 0);
    relay.stop().await;
    let records = world.records("events", 105).await;
    assert_eq!(records.len(), 105, "each once");
    let of_a: Vec<_> = records.iter().map(event).filter(|(key, _)| key == "a").map(|(_, n)| n).collect();
    assert_eq!(of_a, [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_event_outlives_its_relay_and_an_event_that_a_person_deletes_frees_its_key() {
    let world = World::new(&[("events", 1)]).await;
    world.configure("events", "max.message.bytes", "1000").await;
    world.append("events", "a", 0, 5_000).await;
    let relay = world.relay().await;
    world.until("the event to be parked", REFUSED, 1).await;
    relay.stop().await;

    world.append("events", "a", 1, 500).await;
    let relay = world.relay().await;
    world.append("events", "a", 2, 500).await;
    world.append("events", "b", 0, 500).await;
    world.until("the later events to wait", "SELECT count(*) FROM outbox_parked", 3).await;
    world.published().await;
    assert_eq!(world.records("events", 1).await.len(), 1);
    let delete =
        "WITH gone AS (DELETE FROM outbox_parked WHERE refused RETURNING 1) SELECT count(*) FROM gone";
    assert_eq!(world.count(delete).await, 1);
    world.until("the others to be published", "SELECT count(*) FROM outbox_parked", 0).await;
    relay.stop().await;
    let events: Vec<_> = world.records("events", 3).await.iter().map(event).collect();
    assert_eq!(events, [("b".to_owned(), 0), ("a".to_owned(), 1), ("a".to_owned(), 2)]);
}
