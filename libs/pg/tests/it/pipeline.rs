//! Statements that are on their way together.

use std::time::Duration;

use futures::future::{join_all, try_join, try_join3};
use pg::{Columns as _, Error, Tx, deadline::scope};
use tokio::time::Instant;

use crate::{ADD, COUNT, INSERT, count, migrated};

/// The second needs the first; and the second is prepared already, while the first is not.
async fn insert_and_add(tx: &Tx<'_>) -> Result<(), Error> {
    tx.execute_exactly(0, ADD, &[&"a"]).await?;
    try_join(tx.execute_exactly(1, INSERT, &[&"a", &1]), tx.execute_exactly(1, ADD, &[&"a"])).await.map(drop)
}

#[tokio::test]
async fn they_run_in_the_order_of_their_first_poll_even_when_the_first_has_to_be_prepared() {
    let (pool, _database) = migrated().await;
    pg::run_tx(&pool, "together", &(), |tx, ()| Box::pin(insert_and_add(tx))).await.unwrap();
    assert_eq!(count(&pool).await, 1);
}

#[tokio::test]
async fn statements_with_a_deadline_run_in_order() {
    let (pool, _database) = migrated().await;
    let soon = Instant::now() + Duration::from_secs(2);
    scope(soon, pg::run_tx(&pool, "together", &(), |tx, ()| Box::pin(insert_and_add(tx)))).await.unwrap();
    assert_eq!(count(&pool).await, 1);
}

#[tokio::test]
async fn the_one_that_failed_is_reported_and_not_those_behind_it() {
    let (pool, _database) = migrated().await;
    let result = pg::run_tx(&pool, "together", &(), |tx, ()| {
        Box::pin(async move {
            try_join3(
                tx.execute_exactly(1, INSERT, &[&"a", &1]),
                tx.execute_exactly(1, INSERT, &[&"b", &100]),
                tx.execute_exactly(1, INSERT, &[&"c", &1]),
            )
            .await
            .map(drop)
        })
    })
    .await;
    assert_eq!(result.unwrap_err().constraint(), Some("counters_value_check"));
    assert_eq!(count(&pool).await, 0);
}

#[tokio::test]
async fn more_of_them_than_the_runtime_polls_at_a_stretch_stay_in_order() {
    let (pool, _database) = migrated().await;
    let seen: Vec<i64> = pg::run_tx(&pool, "many", &(), |tx, ()| {
        Box::pin(async move {
            let one = async |n: i32| {
                tx.execute_exactly(1, INSERT, &[&n.to_string(), &1]).await?;
                Ok::<_, Error>(())
            };
            let look = async || tx.query_one(COUNT, &[]).await?.column::<i64>(0);
            let pairs = (0..300).map(|n| try_join(one(n), look()));
            join_all(pairs).await.into_iter().map(|pair| pair.map(|((), seen)| seen)).collect()
        })
    })
    .await
    .unwrap();
    assert_eq!(seen, (1..=300).collect::<Vec<i64>>());
}
