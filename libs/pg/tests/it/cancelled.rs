//! Transactions whose future is dropped from outside.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use pg::{Columns as _, Error, Pool};
use testkit::wait_for;

use crate::{connect_with, insert, insert_and_hang, migrated};

async fn one_connection(url: &str) -> Pool {
    let pool = connect_with(url, &["--database-pool-size", "1", "--database-migrations", "await"]);
    pg::migrate(&pool, &[]).await.unwrap();
    pool
}

async fn backend(pool: &Pool) -> i32 {
    pg::run_tx(pool, "backend", &(), |tx, ()| {
        Box::pin(async move { tx.query_one("SELECT pg_backend_pid()", &[]).await?.column(0) })
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn the_next_one_does_not_wait_for_the_statement_of_a_dropped_one() {
    let (_pool, database) = migrated().await;
    let pool = one_connection(&database.url()).await;
    let sleeps = pg::run_tx(&pool, "sleeps", &(), |tx, ()| {
        Box::pin(async move { tx.query("SELECT pg_sleep(1.5)", &[]).await.map(drop) })
    });
    assert!(tokio::time::timeout(Duration::from_millis(300), sleeps).await.is_err());

    let started = Instant::now();
    insert(&pool, "a", 1).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn its_connection_is_closed_and_its_locks_are_gone() {
    let (other, database) = migrated().await;
    let pool = one_connection(&database.url()).await;
    let before = backend(&pool).await;
    let hangs = pg::run_tx(&pool, "hangs", &(), |tx, ()| Box::pin(insert_and_hang(tx)));
    assert!(tokio::time::timeout(Duration::from_millis(300), hangs).await.is_err());

    insert(&other, "a", 1).await.unwrap();
    assert_ne!(backend(&pool).await, before, "a connection that was cut off is not used again");
}

#[tokio::test]
async fn a_failed_transaction_keeps_its_connection() {
    let (_pool, database) = migrated().await;
    let pool = one_connection(&database.url()).await;
    let before = backend(&pool).await;
    insert(&pool, "a", 100).await.unwrap_err();
    assert_eq!(backend(&pool).await, before);
}

/// The answer of the second statement is never looked at, and it waits for a lock.
#[tokio::test]
async fn a_failed_transaction_does_not_wait_for_a_statement_that_it_gave_up() {
    let (_pool, database) = migrated().await;
    let pool = one_connection(&database.url()).await;
    insert(&pool, "a", 1).await.unwrap();
    let other = database.connect().await;
    other.batch_execute("BEGIN; UPDATE counters SET value = 2 WHERE name = 'a'").await.unwrap();
    let second_is_sent = AtomicBool::new(false);
    let started = Instant::now();
    let result: Result<(), Error> = pg::run_tx(&pool, "gives_up", &second_is_sent, |tx, sent| {
        Box::pin(async move {
            let absent = tx.execute_exactly(1, crate::ADD, &[&"absent"]);
            let locked = async {
                sent.store(true, Ordering::Relaxed);
                tx.execute_exactly(1, crate::ADD, &[&"a"]).await
            };
            futures::future::try_join(absent, locked).await.map(drop)
        })
    })
    .await;
    assert!(matches!(result, Err(Error::UnexpectedRowCount { touched: 0, .. })), "{result:?}");
    assert!(second_is_sent.into_inner());
    insert(&pool, "b", 1).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());

    other.batch_execute("COMMIT").await.unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    wait_for("no transaction to be left open", Duration::from_secs(5), async || {
        let open: i64 = other.query_one(open, &[]).await.unwrap().get(0);
        (open == 0).then_some(())
    })
    .await;
}
