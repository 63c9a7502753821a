//! A server that stops while a process looks at the history of its migrations.

use std::time::Duration;

use testkit::wait_for;
use tokio::time::timeout;

use super::{MIGRATIONS, connect, migrated};

const SOON: Duration = Duration::from_secs(90);

/// Ends sessions of this database that wait for a lock, as a stop of the server does.
const END_WAITING: &str = "\
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[tokio::test]
async fn a_connection_that_ends_before_the_first_migration_is_replaced() {
    let (_pool, database) = migrated().await;
    // A transaction sees one state of `pg_stat_activity`.
    let (mut other, watcher) = (database.connect().await, database.connect().await);
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE counters_migrations IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let pool = connect(&database.url());
    let migrating = tokio::spawn(async move { pg::migrate(&pool, &[("counters", MIGRATIONS)]).await });

    wait_for("the process to wait", SOON, async || watcher.query_opt(END_WAITING, &[]).await.unwrap()).await;
    lock.rollback().await.unwrap();

    timeout(SOON, migrating).await.unwrap().unwrap().unwrap();
}
