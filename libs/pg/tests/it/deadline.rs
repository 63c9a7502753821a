//! A deadline around a transaction reaches all the way to the server.

use std::time::Duration;

use pg::{Error, deadline::scope};
use testkit::wait_for;
use tokio::time::Instant;

use crate::{ADD, insert, insert_and_hang, migrated};

const SHORT: Duration = Duration::from_millis(300);

const RUNNING: &str = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND application_name = 'pg-test' AND state = 'active'";

async fn soon<T>(work: impl Future<Output = T>) -> T {
    scope(Instant::now() + SHORT, work).await
}

#[tokio::test]
async fn a_statement_that_waits_for_a_lock_is_ended_by_the_server() {
    let (pool, database) = migrated().await;
    insert(&pool, "a", 1).await.unwrap();
    let other = database.connect().await;
    other.batch_execute("BEGIN; UPDATE counters SET value = 2").await.unwrap();

    let result = soon(pg::run_tx(&pool, "waits", &(), |tx, ()| {
        Box::pin(async move { tx.execute_exactly(1, ADD, &[&"a"]).await })
    }))
    .await;

    assert!(matches!(result, Err(Error::DeadlineExceeded(_))), "{result:?}");
    let observer = database.connect().await;
    wait_for("the statement to be gone", SHORT, async || {
        let running: i64 = observer.query_one(RUNNING, &[]).await.unwrap().get(0);
        (running == 0).then_some(())
    })
    .await;
    other.batch_execute("COMMIT").await.unwrap();
    insert(&pool, "b", 1).await.unwrap();
}

#[tokio::test]
async fn the_second_statement_gets_what_the_first_one_left() {
    let (pool, _database) = migrated().await;
    let result: Result<(), Error> = soon(pg::run_tx(&pool, "sleeps", &(), |tx, ()| {
        Box::pin(async move {
            tx.query("SELECT pg_sleep(0.2)", &[]).await?;
            let started = Instant::now();
            let error = tx.query("SELECT pg_sleep(60)", &[]).await.unwrap_err();
            assert!(started.elapsed() < SHORT, "{:?}", started.elapsed());
            Err(error)
        })
    }))
    .await;
    assert!(matches!(result, Err(Error::DeadlineExceeded(_))), "{result:?}");
}

#[tokio::test]
async fn the_limit_of_one_transaction_is_not_that_of_the_next() {
    let (pool, _database) = migrated().await;
    for name in ["a", "b", "c", "d"] {
        // Less than a statement may take otherwise, so the server is told.
        scope(Instant::now() + Duration::from_millis(1_500), insert(&pool, name, 1)).await.unwrap();
    }
    let slow = pg::run_tx(&pool, "slow", &(), |tx, ()| {
        Box::pin(async move { tx.query("SELECT pg_sleep(1.7)", &[]).await.map(drop) })
    });
    slow.await.unwrap();
}

#[tokio::test]
async fn no_caller_waits_for_a_connection_longer_than_the_deadline() {
    let (pool, _database) = migrated().await;
    let hold = || pg::run_tx(&pool, "holds", &(), |tx, ()| Box::pin(insert_and_hang(tx)));
    let busy = futures::future::join_all((0..4).map(|_| hold()));
    tokio::select! {
        _ = busy => panic!("these never end"),
        () = async {
            wait_for("the deadline to end the wait", Duration::from_secs(2), async || {
                let result = soon(insert(&pool, "b", 1)).await;
                matches!(result, Err(Error::DeadlineExceeded(_))).then_some(())
            })
            .await;
        } => {}
    }
}

#[tokio::test]
async fn no_retry_without_remaining_time() {
    let (pool, _database) = migrated().await;
    let runs = std::sync::atomic::AtomicU32::new(0);
    let conflict = pg::run_tx(&pool, "conflicts", &runs, |tx, runs| {
        Box::pin(async move {
            runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(SHORT * 9 / 10).await;
            let raise = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END $$";
            tx.execute(raise, &[]).await
        })
    });
    let result = scope(Instant::now() + SHORT, conflict).await;
    assert!(matches!(result, Err(Error::DeadlineExceeded(_))), "{result:?}");
    assert!(runs.into_inner() <= 2, "the second attempt had no time to end");
}
