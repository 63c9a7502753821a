//! A SELECT without a transaction around it.

use std::time::{Duration, Instant};

use pg::{Columns as _, Error, Pool};
use testkit::wait_for;

use crate::{insert, migrated, migrated_behind_proxy};

const VALUE: &str = "SELECT value FROM counters WHERE name = $1";

async fn value(pool: &Pool, name: &str) -> Result<Option<i32>, Error> {
    let row = pg::query_opt(pool, "value", VALUE, &[&name]).await?;
    row.map(|row| row.column("value")).transpose()
}

#[tokio::test]
async fn one_row_or_none_is_returned() {
    let (pool, _database) = migrated().await;
    for name in ["a", "b"] {
        insert(&pool, name, 1).await.unwrap();
    }
    assert_eq!(value(&pool, "a").await.unwrap(), Some(1));
    assert_eq!(value(&pool, "c").await.unwrap(), None);
    let many = pg::query_opt(&pool, "many", "SELECT value FROM counters", &[]).await;
    assert!(matches!(many, Err(Error::UnexpectedRowCount { touched: 2, .. })), "{many:?}");
}

#[tokio::test]
async fn a_writing_statement_is_refused() {
    let (pool, _database) = migrated().await;
    let write = "INSERT INTO counters VALUES ('a', 1) RETURNING name";
    let refused = pg::query_opt(&pool, "write", write, &[]).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert_eq!(value(&pool, "a").await.unwrap(), None);
}

#[tokio::test]
async fn the_server_ends_a_statement_at_its_timeout() {
    let (pool, _database) = migrated().await;
    let slow = pg::query_opt(&pool, "slow", "SELECT pg_sleep(60)", &[]).await;
    assert!(matches!(slow, Err(Error::Unavailable(_))), "{slow:?}");
}

#[tokio::test]
async fn a_silent_server_does_not_hold_a_reader() {
    let (proxy, pool, _database) = migrated_behind_proxy().await;
    assert_eq!(value(&pool, "a").await.unwrap(), None);

    proxy.black_hole();
    let started = Instant::now();
    let error = value(&pool, "a").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());

    proxy.restore();
    assert_eq!(value(&pool, "a").await.unwrap(), None);
}

#[tokio::test]
async fn a_reader_who_gives_up_leaves_no_busy_connection_in_the_pool() {
    let (pool, database) = migrated().await;
    // As many as the pool has connections.
    for _ in 0..4 {
        let sleeping = pg::query_opt(&pool, "sleeps", "SELECT pg_sleep(1.5)", &[]);
        assert!(tokio::time::timeout(Duration::from_millis(200), sleeping).await.is_err());
    }
    let observer = database.connect().await;
    let running =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'
                   AND datname = current_database()";
    let before: i64 = observer.query_one(running, &[]).await.unwrap().get(0);
    assert!(before > 0, "this test needs statements that still run");
    assert_eq!(value(&pool, "a").await.unwrap(), None);
    let after: i64 = observer.query_one(running, &[]).await.unwrap().get(0);
    assert!(after > 0, "the reader did not have to wait until they had ended");
    wait_for("the statements to end", Duration::from_secs(5), async || {
        let left: i64 = observer.query_one(running, &[]).await.unwrap().get(0);
        (left == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_column_of_another_type_is_an_error_and_no_panic() {
    let (pool, _database) = migrated().await;
    insert(&pool, "a", 1).await.unwrap();
    let row = pg::query_opt(&pool, "value", VALUE, &[&"a"]).await.unwrap().unwrap();

    let as_text: Result<String, Error> = row.column("value");
    let absent: Result<i32, Error> = row.column("another");

    for (error, column) in [(as_text.unwrap_err(), "value"), (absent.unwrap_err(), "another")] {
        assert!(matches!(&error, Error::Unreadable { column: c, .. } if c == column), "{error:?}");
        assert!(!error.is_transient(), "only a change of schema or release helps");
    }
}
