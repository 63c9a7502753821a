//! The partitions of the table: made ahead of time, dropped when they are old and published, never changed.

use tokio_postgres::Client;

use crate::world::{World, assert_complete};

const PARTITIONS: &str = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'outbox'::regclass";
const DROP: &str = "SELECT count(outbox_drop_partition(clock_timestamp() - interval '1 day'))";

/// A partition of five days ago, with one event.
const OLD: &str = r"
DO $$
DECLARE
    day date := (clock_timestamp() AT TIME ZONE 'UTC')::date - 5;
    name text := 'outbox_' || to_char(day, 'YYYYMMDD');
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE outbox INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS)', name);
    EXECUTE format('ALTER TABLE outbox ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
END
$$";
const OLD_EVENT: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, occurred_at, inserted_at)
VALUES (gen_random_uuid(), $1, 'a', 'test', 'a 0 ', now(), now() - interval '5 days')";

async fn with_old_partition(world: &World) -> Client {
    let client = world.database.connect().await;
    client.batch_execute(OLD).await.unwrap();
    client.execute(OLD_EVENT, &[&world.topics.name("events")]).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_partition_is_dropped_once_its_events_are_published() {
    let world = World::new(&[("events", 1)]).await;
    let _client = with_old_partition(&world).await;
    let before = world.count(PARTITIONS).await;
    assert_eq!(world.count(DROP).await, 0, "its event is not published");
    let relay = world.relay().await;
    world.published().await;
    // The relay may have been the first.
    world.count(DROP).await;
    assert_eq!(world.count(PARTITIONS).await, before - 1);
    world.append("events", "a", 1, 10).await;
    world.published().await;
    relay.stop().await;
    assert_complete(&world.records("events", 2).await, 1, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_never_fails_for_want_of_a_partition_or_because_of_its_maintenance() {
    let world = World::new(&[("events", 1)]).await;
    let mut client = with_old_partition(&world).await;
    let relay = world.relay().await;
    // A writer that stays open has the lock that a drop waits for.
    let writer = client.transaction().await.unwrap();
    writer
        .execute(
            "INSERT INTO outbox (event_id, topic, key, event_type, payload, occurred_at)
        VALUES (gen_random_uuid(), $1, 'b', 'test', 'b 0 ', now())",
            &[&world.topics.name("events")],
        )
        .await
        .unwrap();
    let maintenance = world.database.connect().await;
    let maintain = async {
        for _ in 0..5 {
            drop(maintenance.query(DROP, &[]).await);
            drop(maintenance.query("SELECT outbox_create_partitions()", &[]).await);
        }
    };
    let insert = async {
        for number in 1..60 {
            world.append("events", "a", number, 10).await;
        }
    };
    tokio::join!(maintain, insert);
    writer.commit().await.unwrap();

    let today = "SELECT 'DROP TABLE ' || string_agg(inhrelid::regclass::text, ', ') FROM pg_inherits
        WHERE inhparent = 'outbox'::regclass AND inhrelid <> 'outbox_default'::regclass";
    world.published().await;
    let drop_all: String = maintenance.query_one(today, &[]).await.unwrap().get(0);
    maintenance.batch_execute(&drop_all).await.unwrap();
    world.append("events", "a", 60, 10).await;
    assert_eq!(world.count("SELECT count(*) FROM outbox_default").await, 1);
    // Not for today, which is in the default partition.
    assert_eq!(world.count("SELECT outbox_create_partitions()").await, 3);
    world.published().await;
    assert_eq!(world.count(DROP).await, 1, "the default partition is emptied");
    assert_eq!(world.count("SELECT outbox_create_partitions()").await, 1);
    relay.stop().await;
    let records = world.records("events", 62).await;
    let (a, b): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.key.as_deref() == Some("a"));
    assert_complete(&a, 1, 61);
    assert_complete(&b, 1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_updated_or_deleted() {
    let world = World::new(&[("events", 3)]).await;
    world.configure("events", "max.message.bytes", "1000").await;
    let relay = world.relay().await;
    for number in 0..200 {
        world.append("events", &format!("key-{}", number % 20), number / 20, 100).await;
    }
    world.append("events", "refused", 0, 5_000).await;
    world.published().await;
    relay.stop().await;
    let changes = |columns: &str| {
        format!(
            "SELECT sum({columns})::bigint FROM pg_stat_user_tables WHERE relname ~ '^outbox_(default|\\d{{8}})$'"
        )
    };
    world.until("the statistics", &changes("n_tup_ins"), 201).await;
    assert_eq!(world.count(&changes("n_tup_upd + n_tup_del")).await, 0);
}
