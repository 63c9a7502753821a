//! The pool and its transactions against a real server, through a proxy that fails on command.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod begin;
mod cancelled;
mod changed_schema;
mod deadline;
mod failed_migration;
mod first_failure;
mod interrupted_migration;
mod pipeline;
mod pooler;
mod read;
mod write;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use clap::Parser;
use pg::{Columns as _, Config, Error, Migration, Pool, Tx};
use testkit::{Database, FaultProxy, wait_for};
use tls::Trust;
use tokio::sync::Barrier;

const MIGRATIONS: &[Migration] = &[(
    "V1__create_counters",
    "CREATE TABLE counters (name text PRIMARY KEY, value int CHECK (value < 100))",
)];
const INSERT: &str = "INSERT INTO counters VALUES ($1, $2)";
const ADD: &str = "UPDATE counters SET value = value + 1 WHERE name = $1";
const COUNT: &str = "SELECT count(*) FROM counters";

#[derive(Parser)]
#[command(args_override_self = true)]
struct Settings {
    #[command(flatten)]
    database: Config,
}

fn connect(url: &str) -> Pool {
    connect_with(url, &[])
}

fn connect_with(url: &str, settings: &[&str]) -> Pool {
    let arguments = ["test", "--database-url", url, "--database-pool-size", "4"];
    let arguments = arguments.iter().chain(settings);
    pg::connect(&Settings::parse_from(arguments).database, &Trust::none(), "pg-test").unwrap()
}

async fn migrated() -> (Pool, Database) {
    let database = Database::create("pool").await;
    let pool = connect(&database.url());
    pg::migrate(&pool, &[("counters", MIGRATIONS)]).await.unwrap();
    (pool, database)
}

/// A server that can be made to fail.
async fn migrated_behind_proxy() -> (FaultProxy, Pool, Database) {
    let proxy = FaultProxy::start(Database::server()).await;
    let database = Database::create("pool").await;
    let pool = connect(&database.url_through(proxy.addr()));
    pg::migrate(&pool, &[("counters", MIGRATIONS)]).await.unwrap();
    (proxy, pool, database)
}

async fn insert(pool: &Pool, name: &str, value: i32) -> Result<(), Error> {
    pg::run_tx(pool, "insert", &(name, value), |tx, (name, value)| {
        Box::pin(async move { tx.execute_exactly(1, INSERT, &[name, value]).await })
    })
    .await
}

async fn count(pool: &Pool) -> i64 {
    pg::run_tx(pool, "count", &(), |tx, ()| {
        Box::pin(async move { tx.query_one(COUNT, &[]).await?.column(0) })
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn an_error_rolls_everything_back() {
    let (pool, _database) = migrated().await;
    let result = pg::run_tx(&pool, "fails", &(), |tx, ()| {
        Box::pin(async move {
            tx.execute(INSERT, &[&"a", &1]).await?;
            tx.execute_exactly(1, ADD, &[&"absent"]).await
        })
    })
    .await;
    assert!(matches!(result, Err(Error::UnexpectedRowCount { expected: 1, touched: 0, .. })), "{result:?}");
    assert_eq!(count(&pool).await, 0);
}

#[tokio::test]
async fn a_constraint_is_named() {
    let (pool, _database) = migrated().await;
    assert_eq!(insert(&pool, "a", 100).await.unwrap_err().constraint(), Some("counters_value_check"));
    insert(&pool, "a", 1).await.unwrap();
    let error = insert(&pool, "a", 1).await.unwrap_err();
    assert_eq!((error.constraint(), error.is_transient()), (Some("counters_pkey"), false));
}

#[tokio::test]
async fn an_error_does_not_repeat_the_values_of_a_row() {
    let (pool, _database) = migrated().await;
    let error = insert(&pool, "ada@example.com", 100).await.unwrap_err();
    assert!(!format!("{error:?}").contains("ada@example.com"), "{error:?}");
}

#[tokio::test]
async fn a_busy_pool_is_no_missing_database() {
    let (pool, _database) = migrated().await;
    let hold = || pg::run_tx(&pool, "holds", &(), |tx, ()| Box::pin(insert_and_hang(tx)));
    let busy = futures::future::join_all((0..4).map(|_| hold()));
    tokio::select! {
        _ = busy => panic!("these never end"),
        () = async {
            wait_for("the pool to be busy", Duration::from_secs(3), async || {
                matches!(insert(&pool, "b", 1).await, Err(Error::Unavailable(_))).then_some(())
            })
            .await;
            pool.ping().await.unwrap();
        } => {}
    }
}

#[tokio::test]
async fn a_pool_that_is_full_of_attempts_to_connect_is_a_missing_database() {
    let (proxy, pool, _database) = migrated_behind_proxy().await;

    proxy.black_hole();
    let attempts = futures::future::join_all((0..16).map(|_| insert(&pool, "a", 1)));
    let (_, ping) = tokio::join!(attempts, pool.ping());

    assert!(matches!(ping, Err(Error::Unavailable(_))), "{ping:?}");
}

#[tokio::test]
async fn a_readiness_check_of_a_silent_server_ends() {
    let (proxy, pool, _database) = migrated_behind_proxy().await;
    pool.ping().await.unwrap();

    proxy.black_hole();
    let ping = tokio::time::timeout(Duration::from_secs(5), pool.ping()).await;
    assert!(matches!(ping, Ok(Err(Error::Unavailable(_)))), "{ping:?}");

    proxy.restore();
    insert(&pool, "a", 1).await.unwrap();
}

#[tokio::test]
async fn a_deadlock_is_run_again() {
    let (pool, _database) = migrated().await;
    for name in ["a", "b"] {
        insert(&pool, name, 0).await.unwrap();
    }
    let (both_hold_one, runs) = (Barrier::new(2), AtomicU32::new(0));
    let add_both = async |first: &'static str, second: &'static str| {
        pg::run_tx(
            &pool,
            "add_both",
            &(first, second, &both_hold_one, &runs),
            |tx, (first, second, barrier, runs)| {
                Box::pin(async move {
                    tx.execute_exactly(1, ADD, &[first]).await?;
                    if runs.fetch_add(1, Ordering::Relaxed) < 2 {
                        barrier.wait().await;
                    }
                    tx.execute_exactly(1, ADD, &[second]).await
                })
            },
        )
        .await
    };
    let (one, other): (Result<(), Error>, Result<(), Error>) =
        tokio::join!(add_both("a", "b"), add_both("b", "a"));
    one.unwrap();
    other.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 3, "one of the two ran twice");
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing() {
    let (pool, _database) = migrated().await;
    let never_ends = pg::run_tx(&pool, "cancelled", &(), |tx, ()| Box::pin(insert_and_hang(tx)));
    assert!(tokio::time::timeout(Duration::from_millis(300), never_ends).await.is_err());
    assert_eq!(count(&pool).await, 0);
}

async fn insert_and_hang(tx: &Tx<'_>) -> Result<(), Error> {
    tx.execute(INSERT, &[&"a", &1]).await?;
    std::future::pending().await
}

#[tokio::test]
async fn a_silent_server_does_not_hold_callers() {
    let (proxy, pool, _database) = migrated_behind_proxy().await;
    insert(&pool, "before", 1).await.unwrap();

    proxy.black_hole();
    let started = Instant::now();
    let error = insert(&pool, "during", 1).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());

    proxy.restore();
    insert(&pool, "after", 1).await.unwrap();
}

#[tokio::test]
async fn several_processes_may_migrate_at_once() {
    let database = Database::create("pool").await;
    let pools: Vec<_> = (0..4).map(|_| connect(&database.url())).collect();
    let schemas = [("counters", MIGRATIONS)];
    let all = pools.iter().map(|pool| pg::migrate(pool, &schemas));
    for result in futures::future::join_all(all).await {
        result.unwrap();
    }
    insert(&pools[3], "a", 1).await.unwrap();
}

#[tokio::test]
async fn a_database_with_another_history_is_refused() {
    let (_pool, database) = migrated().await;
    let changed: &[Migration] = &[("V1__create_counters", "CREATE TABLE counters (name text)")];
    let pool = connect(&database.url());

    let error = pg::migrate(&pool, &[("counters", changed)]).await.unwrap_err();

    assert!(matches!(error, Error::Migration(_)), "{error:?}");
    assert!(matches!(insert(&pool, "a", 1).await, Err(Error::Unavailable(_))), "the pool stays closed");
}

const SLOW: &[Migration] = &[("V1__slow", "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END $$")];

/// Tried again, it would lock its tables for as long each time.
#[tokio::test]
async fn a_migration_that_takes_too_long_is_not_tried_again() {
    let database = Database::create("pool").await;
    let pool = connect(&database.url());
    let schemas = [("counters", SLOW)];
    let migrating = pg::migrate(&pool, &schemas);
    let result = tokio::time::timeout(Duration::from_secs(5), migrating).await.unwrap();
    assert!(matches!(result, Err(Error::Migration(_))), "{result:?}");
}

const NEWER: &[Migration] = &[MIGRATIONS[0], ("V2__add_note", "ALTER TABLE counters ADD note text")];
const AWAIT: &[&str] = &["--database-migrations", "await"];

#[tokio::test]
async fn a_service_that_awaits_its_schema_is_closed_until_a_job_has_made_it() {
    let database = Database::create("pool").await;
    let (service, job) = (connect_with(&database.url(), AWAIT), connect(&database.url()));
    let waiting = tokio::spawn({
        let service = service.clone();
        async move { pg::migrate(&service, &[("counters", MIGRATIONS)]).await }
    });
    let during = insert(&service, "a", 1).await;
    assert!(matches!(during, Err(Error::Unavailable(_))), "{during:?}");
    assert!(!waiting.is_finished());

    pg::migrate(&job, &[("counters", MIGRATIONS)]).await.unwrap();

    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap();
    insert(&service, "a", 1).await.unwrap();
}

#[tokio::test]
async fn a_service_that_awaits_its_schema_runs_beside_a_newer_one_but_not_a_changed_one() {
    let (_pool, database) = migrated().await;
    pg::migrate(&connect(&database.url()), &[("counters", NEWER)]).await.unwrap();

    let older = connect_with(&database.url(), AWAIT);
    pg::migrate(&older, &[("counters", MIGRATIONS)]).await.unwrap();
    insert(&older, "a", 1).await.unwrap();

    let changed: &[Migration] = &[("V1__create_counters", "CREATE TABLE counters (name text)")];
    let error =
        pg::migrate(&connect_with(&database.url(), AWAIT), &[("counters", changed)]).await.unwrap_err();
    assert!(matches!(error, Error::Migration(_)), "{error:?}");
}
