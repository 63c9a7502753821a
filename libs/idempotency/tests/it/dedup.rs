//! Events that are delivered again, and the partitions of the table that knows them.

use std::time::{Duration, SystemTime};

use futures::future::join_all;
use idempotency::{Table, dedup};
use pg::Pool;
use testkit::{Database, wait_for};
use tokio_util::sync::CancellationToken;
use uuid::{NoContext, Timestamp, Uuid};

const DAY: Duration = Duration::from_hours(24);
const SOON: Duration = Duration::from_secs(90);

/// An event id of this many days ago.
fn id_of(days: u32) -> Uuid {
    let since = (SystemTime::now() - days * DAY).duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Uuid::new_v7(Timestamp::from_unix(NoContext, since.as_secs(), 0))
}

/// Handles an event, whose effect is a row; returns whether it was the first time.
async fn handle(pool: &Pool, event_id: Uuid) -> bool {
    let handled = pg::run_tx(pool, "handle", &event_id, |tx, &event_id| {
        Box::pin(async move {
            let first = dedup::record(tx, "test", event_id).await?;
            if first {
                tx.execute("INSERT INTO effects VALUES ($1)", &[&event_id]).await?;
            }
            Ok::<_, pg::Error>(first)
        })
    });
    handled.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_takes_effect_once_with_any_id_and_any_partitions() {
    let database = Database::create("dedup").await;
    let pool = database.pool(&[("dedup", dedup::MIGRATIONS)]).await;
    let client = database.connect().await;
    client.batch_execute("CREATE TABLE effects (event_id uuid)").await.unwrap();
    // Of now, of before the first partition, of a clock that is far ahead, and no UUIDv7.
    let ids = [Uuid::now_v7(), id_of(400), Uuid::from_u128(u128::MAX), Uuid::new_v4()];
    for id in ids {
        let outcomes = join_all((0..4).map(|_| handle(&pool, id))).await;
        assert_eq!(outcomes.iter().filter(|first| **first).count(), 1, "{id}");
    }
    // Without the partitions of the days ahead, an insert goes to the default partition.
    let drop_ahead = "SELECT string_agg('DROP TABLE ' || inhrelid::regclass::text, ';') FROM pg_inherits
        WHERE inhparent = 'processed_events'::regclass AND inhrelid::regclass::text ~ to_char(now() + interval '1 day', 'YYYYMMDD')";
    let drop_ahead: String = client.query_one(drop_ahead, &[]).await.unwrap().get(0);
    client.batch_execute(&drop_ahead).await.unwrap();
    let tomorrow = SystemTime::now() + DAY;
    let since = tomorrow.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let id = Uuid::new_v7(Timestamp::from_unix(NoContext, since.as_secs(), 0));
    assert!(handle(&pool, id).await);
    let created = "SELECT create_event_partitions('processed_events')";
    assert_eq!(client.query_one(created, &[]).await.unwrap().get::<_, i64>(0), 0, "its day has an event");
    assert!(!handle(&pool, id).await);
    assert_eq!(client.query_one("SELECT count(*) FROM effects", &[]).await.unwrap().get::<_, i64>(0), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_made_ahead_and_dropped_after_the_retention() {
    let database = Database::create("dedup").await;
    let pool = database.pool(&[("dedup", dedup::MIGRATIONS)]).await;
    let client = database.connect().await;
    client.batch_execute("CREATE TABLE effects (event_id uuid)").await.unwrap();
    // Instead of the first partition, which has all days before its own, one of nine days ago.
    let nine_days_ago = "
        DO $$ DECLARE today date := (now() AT TIME ZONE 'UTC')::date; BEGIN
            EXECUTE 'DROP TABLE processed_events_' || to_char(today, 'YYYYMMDD');
            EXECUTE format('CREATE TABLE %I PARTITION OF processed_events FOR VALUES FROM (%L) TO (%L)',
                'processed_events_' || to_char(today - 9, 'YYYYMMDD'), first_uuidv7_of(today - 9), first_uuidv7_of(today - 8));
        END $$";
    client.batch_execute(nine_days_ago).await.unwrap();
    let old = id_of(9);
    let unknown = Uuid::new_v4();
    assert!(handle(&pool, old).await && handle(&pool, unknown).await);
    client
        .batch_execute("UPDATE processed_events_default SET processed_at = now() - interval '9 days'")
        .await
        .unwrap();

    let (retention, stop) = (7 * DAY, CancellationToken::new());
    let partitions = dedup::Partitions::processed_events(retention);
    let maintain = tokio::spawn({
        let pool = pool.clone();
        async move { partitions.run(&pool).await }
    });
    let purge = tokio::spawn(Table::ProcessedEvents { retention }.run_retention(pool.clone(), stop.clone()));
    let count = "SELECT count(*) FROM processed_events";
    wait_for("both to be forgotten", SOON, async || {
        (client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    assert!(handle(&pool, old).await, "forgotten");
    stop.cancel();
    purge.await.unwrap();
    maintain.abort();
}
