//! Retention.

use testkit::wait_for;

use crate::world::{SOON, World};

const TWO_OF_EACH: &str = "\
INSERT INTO mails (event_id, order_id, tenant, kind, message_id, state, first_attempt_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'acme', 'confirmed', '<x@muster.test>', 'sending', now() - age
FROM unnest(ARRAY[interval '8 days', interval '6 days']) AS age;
INSERT INTO processed_events (consumer, event_id, processed_at)
SELECT 'email-consumer', gen_random_uuid(), now() - age
FROM unnest(ARRAY[interval '8 days', interval '6 days']) AS age;";

const LEFT: &str = "\
SELECT (SELECT count(*) FROM mails) AS mails, (SELECT count(*) FROM processed_events) AS processed_events";

#[tokio::test(flavor = "multi_thread")]
async fn retention_deletes_only_expired_rows() {
    let world = World::new().await;
    let settings = world
        .consumer()
        .env("EMAIL_DEDUP_RETENTION", "7d")
        .env("ORDERS_EVENTS_RETENTION", "3d")
        .env("EMAIL_DEAD_LETTER_RETENTION", "3d");
    let mut consumer = settings.spawn().await;
    assert!(consumer.terminate().await.success());
    let database = world.database.connect().await;
    database.batch_execute(TWO_OF_EACH).await.unwrap();

    consumer.restart().await;
    wait_for("the old rows to be purged", SOON, async || {
        let left = database.query_one(LEFT, &[]).await.unwrap();
        (left.get::<_, i64>("mails") == 1 && left.get::<_, i64>("processed_events") == 1).then_some(())
    })
    .await;
}
