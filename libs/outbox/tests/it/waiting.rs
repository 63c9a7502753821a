//! Many events that wait when a relay starts: it sends some while it reads the next.

use crate::world::{World, assert_complete};

/// More than are in flight at once.
const KEYS: u32 = 3_000;
const EVENTS: u32 = 4;

const FILL: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, occurred_at)
SELECT gen_random_uuid(), $1, 'key-' || key, 'test', convert_to(format('key-%s %s ', key, number), 'UTF8'), now()
FROM generate_series(0, $3::bigint - 1) number, generate_series(0, $2::bigint - 1) key ORDER BY number, key";

#[tokio::test(flavor = "multi_thread")]
async fn more_events_than_are_read_at_once_are_published_once_each_and_in_order() {
    let world = World::new(&[("events", 6)]).await;
    let client = world.database.connect().await;
    let (topic, keys, events) = (world.topics.name("events"), i64::from(KEYS), i64::from(EVENTS));
    client.execute(FILL, &[&topic, &keys, &events]).await.unwrap();
    let relay = world.relay().await;
    world.published().await;
    relay.stop().await;
    let (keys, events) = (KEYS as usize, EVENTS as usize);
    let records = world.records("events", keys * events).await;
    assert_eq!(records.len(), keys * events, "each once");
    assert_complete(&records, keys, events);
}
