//! The schema is changed, or statements are forgotten, under a pool whose connections have prepared theirs.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use pg::{Columns as _, Error, Pool};

use crate::{count, insert, migrated};

const READ: &str = "SELECT value, name FROM counters WHERE name = 'a'";

async fn read(pool: &Pool) -> Result<String, Error> {
    pg::run_tx(pool, "read", &(), |tx, ()| {
        Box::pin(async move { tx.query_one(READ, &[]).await?.column("name") })
    })
    .await
}

/// Has all four connections of the pool prepare the statements of this test.
async fn warm(pool: &Pool) {
    let hold = || {
        pg::run_tx(pool, "warm", &(), |tx, ()| {
            Box::pin(async move {
                tx.query_one(READ, &[]).await?;
                tx.query("SELECT pg_sleep(0.1)", &[]).await.map(drop)
            })
        })
    };
    try_join_all((0..4).map(|_| hold())).await.unwrap();
    for read in join_all((0..4).map(|_| pg::query_opt(pool, "read", READ, &[]))).await {
        read.unwrap();
    }
}

#[tokio::test]
async fn a_column_of_a_compatible_new_type_is_read() {
    let (pool, database) = migrated().await;
    insert(&pool, "a", 1).await.unwrap();
    let admin = database.connect().await;
    for kind in ["varchar(300)", "text"] {
        warm(&pool).await;
        let alter = format!("ALTER TABLE counters ALTER COLUMN name TYPE {kind}");
        admin.batch_execute(&alter).await.unwrap();
        for result in join_all((0..8).map(|_| read(&pool))).await {
            assert_eq!(result.unwrap(), "a");
        }
        warm(&pool).await;
        admin.batch_execute("ALTER TABLE counters ALTER COLUMN name TYPE varchar(9)").await.unwrap();
        for result in join_all((0..8).map(|_| pg::query_opt(&pool, "read", READ, &[]))).await {
            assert_eq!(result.unwrap().unwrap().column::<String>("name").unwrap(), "a");
        }
    }
}

/// A function that reads the column, as triggers do: each session keeps its plan.
const TRIGGER: &str = "\
CREATE FUNCTION refuse_another_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.name <> OLD.name THEN RAISE EXCEPTION 'another name'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse_another_name BEFORE UPDATE ON counters FOR EACH ROW EXECUTE FUNCTION refuse_another_name()";

/// Writes on all four connections of the pool at once.
async fn write_everywhere(pool: &Pool) -> Result<(), Error> {
    let hold = |name: &'static str| {
        pg::run_tx(pool, "hold", name, |tx, name| {
            Box::pin(async move {
                tx.execute("UPDATE counters SET value = value + 1 WHERE name = $1", &[&name]).await?;
                tx.query("SELECT pg_sleep(0.1)", &[]).await.map(drop)
            })
        })
    };
    try_join_all(["a", "b", "c", "d"].map(hold)).await.map(drop)
}

#[tokio::test]
async fn a_function_whose_plan_a_changed_column_made_invalid_is_planned_anew() {
    let (pool, database) = migrated().await;
    let admin = database.connect().await;
    admin.batch_execute(TRIGGER).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        insert(&pool, name, 1).await.unwrap();
    }
    write_everywhere(&pool).await.unwrap();
    for kind in ["varchar(300)", "text"] {
        let alter = format!("ALTER TABLE counters ALTER COLUMN name TYPE {kind}");
        admin.batch_execute(&alter).await.unwrap();
        write_everywhere(&pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_column_of_a_type_that_cannot_be_read_is_an_error_every_time() {
    let (pool, database) = migrated().await;
    insert(&pool, "a", 1).await.unwrap();
    warm(&pool).await;
    let alter = "ALTER TABLE counters ALTER COLUMN name TYPE bytea USING name::bytea";
    database.connect().await.batch_execute(alter).await.unwrap();
    for _ in 0..2 {
        let result = read(&pool).await;
        assert!(matches!(result, Err(Error::Unreadable { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn statements_that_a_session_has_forgotten_are_prepared_again() {
    let (pool, _database) = migrated().await;
    insert(&pool, "a", 1).await.unwrap();
    for forget in ["DEALLOCATE ALL", "DISCARD PLANS"] {
        warm(&pool).await;
        let forgets = || {
            pg::run_tx(&pool, "forgets", &forget, |tx, forget| {
                Box::pin(async move {
                    tx.execute(forget, &[]).await?;
                    tx.query("SELECT pg_sleep(0.1)", &[]).await.map(drop)
                })
            })
        };
        try_join_all((0..4).map(|_| forgets())).await.unwrap();
        assert_eq!(read(&pool).await.unwrap(), "a");
        assert!(pg::query_opt(&pool, "read", READ, &[]).await.unwrap().is_some());
    }
    assert_eq!(count(&pool).await, 1);
}

/// What is wrong for good is not tried for ever.
#[tokio::test]
async fn a_statement_that_the_server_never_supports_ends_in_an_error() {
    let (pool, _database) = migrated().await;
    let unsupported = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '0A000'; END $$";
    let never =
        pg::run_tx(&pool, "never", &(), |tx, ()| Box::pin(async move { tx.execute(unsupported, &[]).await }));
    let result = tokio::time::timeout(Duration::from_secs(2), never).await.unwrap();
    let error = result.unwrap_err();
    assert!(matches!(error, Error::StaleStatement(_)) && !error.is_transient(), "{error:?}");
}
