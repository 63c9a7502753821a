//! Of several statements that are on their way together, the first that fails is what the transaction failed with.

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures::{
    future::{join_all, try_join, try_join3},
    poll,
};
use pg::{Error, Pool, Tx, types::ToSql};

use crate::{AWAIT, COUNT, INSERT, MIGRATIONS, connect_with, count, insert, migrated};

/// Fails as the victim of a deadlock does.
const DEADLOCK: &str = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$";

/// Enough to see the race between the connection's task and the transaction's many times.
const TRANSACTIONS: usize = 400;

/// Has the statements prepared on the pool's first connection, so that they go out when they are first polled.
async fn warm(pool: &Pool) {
    pg::run_tx(pool, "warm", &(), |tx, ()| {
        Box::pin(async move {
            tx.execute(COUNT, &[]).await?;
            tx.execute(INSERT, &[&"warm", &1]).await?;
            tx.execute(DEADLOCK, &[]).await
        })
    })
    .await
    .unwrap_err();
}

async fn insert_three(tx: &Tx<'_>) -> Result<(), Error> {
    try_join3(
        tx.execute_exactly(1, INSERT, &[&"a", &1]),
        tx.execute_exactly(1, INSERT, &[&"b", &1]),
        tx.execute_exactly(1, INSERT, &[&"c", &1]),
    )
    .await
    .map(drop)
}

/// Runs transactions with the pool's connections side by side until there were [`TRANSACTIONS`] of them.
async fn many<T>(run: impl AsyncFn() -> T) -> Vec<T> {
    let workers = (0..4).map(|_| async {
        let mut results = Vec::new();
        while results.len() < TRANSACTIONS / 4 {
            results.push(run().await);
        }
        results
    });
    join_all(workers).await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_server_is_unavailable_and_never_a_refused_statement() {
    let (_pool, database) = migrated().await;
    let admin = database.connect().await;
    let alter = "DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$";
    admin.batch_execute(alter).await.unwrap();
    let pool = connect_with(&database.url(), AWAIT);
    pg::migrate(&pool, &[("counters", MIGRATIONS)]).await.unwrap();

    let insert = || pg::run_tx(&pool, "read_only", &(), |tx, ()| Box::pin(insert_three(tx)));
    let results: Vec<Result<(), Error>> = many(insert).await;

    let other: Vec<_> =
        results.iter().filter(|result| !matches!(result, Err(Error::Unavailable(_)))).collect();
    assert!(other.is_empty(), "{} of {TRANSACTIONS}: {:?}", other.len(), other[0]);
}

/// Sends two statements and looks at the second one's answer before the first one's, which the server gave earlier.
async fn look_backwards(
    tx: &Tx<'_>,
    first: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<(), Error> {
    let mut first = pin!(tx.execute(first, params));
    assert!(poll!(first.as_mut()).is_pending());
    try_join(tx.execute(COUNT, &[]), first).await.map(drop)
}

#[tokio::test]
async fn the_order_in_which_answers_are_looked_at_does_not_matter() {
    let (pool, _database) = migrated().await;
    warm(&pool).await;
    let result =
        pg::run_tx(&pool, "backwards", &(), |tx, ()| Box::pin(look_backwards(tx, INSERT, &[&"a", &100])))
            .await;
    assert_eq!(result.unwrap_err().constraint(), Some("counters_value_check"));
}

#[tokio::test]
async fn a_deadlock_is_run_again_with_any_statements_behind_it() {
    let (pool, _database) = migrated().await;
    warm(&pool).await;
    let runs = AtomicU32::new(0);
    let result = pg::run_tx(&pool, "deadlock", &runs, |tx, runs| {
        Box::pin(async move {
            match runs.fetch_add(1, Ordering::Relaxed) {
                0 => look_backwards(tx, DEADLOCK, &[]).await,
                _ => Ok(()),
            }
        })
    });
    result.await.unwrap();
    assert_eq!(runs.into_inner(), 2);
}

#[tokio::test]
async fn a_failure_that_the_closure_swallows_is_that_of_the_transaction() {
    let (pool, _database) = migrated().await;
    let result = pg::run_tx(&pool, "swallows", &(), |tx, ()| {
        Box::pin(async move {
            tx.execute(INSERT, &[&"a", &1]).await?;
            let refused = tx.execute(INSERT, &[&"a", &2]).await;
            Ok::<_, Error>(refused.is_err())
        })
    })
    .await;
    assert_eq!(result.unwrap_err().constraint(), Some("counters_pkey"));
    assert_eq!(count(&pool).await, 0);
}

/// A statement whose answer is not waited for may have failed, and then COMMIT would be a rollback without an error.
#[tokio::test]
async fn a_transaction_does_not_commit_when_a_statement_was_given_up() {
    let (pool, _database) = migrated().await;
    warm(&pool).await;
    let result = pg::run_tx(&pool, "gives_up", &(), |tx, ()| {
        Box::pin(async move {
            let mut given_up = Box::pin(tx.execute(INSERT, &[&"a", &100]));
            assert!(poll!(given_up.as_mut()).is_pending());
            drop(given_up);
            Ok::<_, Error>(())
        })
    })
    .await;
    assert!(matches!(result, Err(Error::Refused(_))), "{result:?}");
}

/// The first failure is unknown after its statement was dropped; the second statement does not wait for it.
#[tokio::test]
async fn a_statement_after_a_dropped_one_is_refused_at_once() {
    let (pool, _database) = migrated().await;
    warm(&pool).await;
    let behind = pg::run_tx(&pool, "gives_up", &(), |tx, ()| {
        Box::pin(async move {
            let mut given_up = Box::pin(tx.execute(INSERT, &[&"a", &100]));
            assert!(poll!(given_up.as_mut()).is_pending());
            drop(given_up);
            tx.execute(INSERT, &[&"b", &1]).await
        })
    });
    let result = tokio::time::timeout(Duration::from_secs(2), behind).await.unwrap();
    assert!(matches!(result, Err(Error::Refused(_))), "{result:?}");
    insert(&pool, "c", 1).await.unwrap();
}
