//! Retention.

use std::time::{Duration, SystemTime};

use events::{Envelope, orders::OrderConfirmed};
use testkit::wait_for;
use uuid::{NoContext, Timestamp, Uuid};

use crate::{
    orders::{Order, envelope},
    world::{SOON, World, metric},
};

/// The tables as the release before partitions had them.
const WITHOUT_PARTITIONS: &str = "\
CREATE TABLE before (LIKE mails INCLUDING ALL); DROP TABLE mails; ALTER TABLE before RENAME TO mails;
ALTER INDEX before_pkey RENAME TO mails_pkey; CREATE INDEX mails_first_attempt_at ON mails (first_attempt_at);
CREATE TABLE before (LIKE processed_events INCLUDING ALL); DROP TABLE processed_events; ALTER TABLE before RENAME TO processed_events;
ALTER INDEX before_pkey RENAME TO processed_events_pkey;
CREATE INDEX processed_events_processed_at ON processed_events (processed_at);
DROP FUNCTION first_uuidv7_of; DROP FUNCTION partition_events_by_day;
DROP FUNCTION create_event_partitions; DROP FUNCTION drop_event_partition;
DELETE FROM email_consumer_migrations WHERE version = 4;
DELETE FROM dedup_migrations WHERE version = 2;";

const MAIL: &str = "\
INSERT INTO mails (event_id, order_id, tenant, kind, message_id, state, handovers, sent_at, first_attempt_at)
VALUES ($1, gen_random_uuid(), 'acme', 'confirmed', '<x@muster.test>', 'sent', 1, now(), now() - make_interval(days => $2))";

const COUNT: &str = "SELECT count(*) FROM mails";

/// Instead of the first partition, which has all days before its own, the partitions of nine and of six days ago.
const TWO_DAYS: &str = r"
DO $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    ago   integer;
BEGIN
    EXECUTE 'DROP TABLE mails_' || to_char(today, 'YYYYMMDD');
    FOREACH ago IN ARRAY ARRAY[9, 6] LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF mails FOR VALUES FROM (%L) TO (%L)',
            'mails_' || to_char(today - ago, 'YYYYMMDD'), first_uuidv7_of(today - ago), first_uuidv7_of(today - ago + 1));
    END LOOP;
END
$$";

const DELETED: &str = r"
SELECT coalesce(sum(n_tup_del), 0)::bigint FROM pg_stat_user_tables WHERE relname ~ '^mails_\d{8}$'";

/// An event id of this many days ago.
fn id_of(days: u64) -> Uuid {
    let at = SystemTime::now() - Duration::from_hours(24 * days);
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Uuid::new_v7(Timestamp::from_unix(NoContext, since.as_secs(), 0))
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_forgotten_by_dropping_partitions_and_others_are_deleted() {
    let world = World::new().await;
    let settings = world
        .consumer()
        .env("EMAIL_DEDUP_RETENTION", "7d")
        .env("ORDERS_EVENTS_RETENTION", "3d")
        .env("EMAIL_DEAD_LETTER_RETENTION", "3d");
    let mut consumer = settings.spawn().await;
    assert!(consumer.terminate().await.success());
    let database = world.database.connect().await;
    database.batch_execute(TWO_DAYS).await.unwrap();
    // Ids of two partitions, and ids without one.
    for (id, days) in [(id_of(9), 9), (id_of(6), 6), (Uuid::new_v4(), 9), (Uuid::new_v4(), 6)] {
        database.execute(MAIL, &[&id, &days]).await.unwrap();
    }

    consumer.restart().await;
    wait_for("the old rows to go", SOON, async || {
        let left: i64 = database.query_one(COUNT, &[]).await.unwrap().get(0);
        (left == 2).then_some(())
    })
    .await;
    assert_eq!(database.query_one(DELETED, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert!(consumer.logs().contains("dropped a partition"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_migration_keeps_what_was_sent_and_events_of_any_day_are_sent_once() {
    let world = World::new().await;
    let mut consumer = world.consumer().spawn().await;
    assert!(consumer.terminate().await.success());
    let database = world.database.connect().await;
    database.batch_execute(WITHOUT_PARTITIONS).await.unwrap();
    let sent = [id_of(30), id_of(0), Uuid::from_u128(u128::MAX)];
    for id in &sent {
        database.execute(MAIL, &[id, &0]).await.unwrap();
    }
    consumer.restart().await;
    wait_for("the partitions", SOON, async || {
        database.query_opt("SELECT FROM mails_default WHERE event_id = $1", &[&sent[2]]).await.ok().flatten()
    })
    .await;
    // Each delivered again, and two new ones twice: of a time without a partition, and with an id that has none.
    let new = [id_of(400), Uuid::new_v4()];
    for id in sent.iter().chain(&new).chain(&new) {
        let order = Order::new();
        let envelope = Envelope { event_id: *id, ..envelope::<OrderConfirmed>() };
        world.publisher.publish_as(&order, &order.confirmed(), &envelope).await;
    }
    wait_for("the repetitions", SOON, async || {
        (metric(&consumer, "email_repeated_events_total").await == 5).then_some(())
    })
    .await;
    assert_eq!(database.query_one(COUNT, &[]).await.unwrap().get::<_, i64>(0), 5);
    assert_eq!(metric(&consumer, "mails_sent_total{kind=\"confirmed\"}").await, 2);
}
