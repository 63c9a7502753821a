//! Migrations, run by one process at a time before any other use of the database.

mod history;

use std::{error::Error as StdError, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use deadpool_postgres::ClientWrapper;
use refinery::Runner;
use tokio_postgres::SimpleQueryMessage;

use crate::{Error, Migrations, Pool, error::source};

/// One step of a schema: `("V1__create_orders", include_str!("…"))`. Immutable once released.
pub type Migration = (&'static str, &'static str);

/// A named schema with its own history. A library that owns tables has its own schema and evolves independently.
pub type Schema = (&'static str, &'static [Migration]);

/// Serialises migrations of this database; "MUSTER" on a telephone keypad.
const LOCK: i64 = 687_837;

/// Time limits for another process that migrates, and for one migration.
const SESSION: &str = "SET lock_timeout = '60s'; SET statement_timeout = '60s'; \
                       SET idle_in_transaction_session_timeout = '60s'";

const STATEMENT_TIMEOUT: &str = "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'";

/// Time limit for one attempt, from the lock to the last migration. Ends the wait for a server that stops answering.
const ATTEMPT: Duration = Duration::from_mins(5);

/// Pauses between attempts to reach the database: from 100 ms to 2 s, jitter included, without end.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(1))
    .without_max_times()
    .with_jitter();

/// Migrates the schemas, or waits until another process has ([`Migrations`]), and opens the pool: until then the pool
/// refuses transactions as unavailable.
///
/// Waits for an unreachable database without a limit; drop the future to stop.
///
/// # Errors
/// Refuses a changed or missing migration, and a pooler in front of the database. A process that applies migrations also
/// refuses a newer schema; one that waits accepts it, because it is the older version in a roll-out. A migration that failed
/// in the process that applies it ends the wait, with the reason.
pub async fn migrate(pool: &Pool, schemas: &[Schema]) -> Result<(), Error> {
    (|| bounded_attempt(pool, schemas))
        .retry(BACKOFF)
        .when(Error::is_transient)
        .notify(|error, _| {
            tracing::warn!(error = error as &dyn StdError, "cannot migrate the schema yet, trying again");
        })
        .await?;
    pool.open();
    Ok(())
}

async fn bounded_attempt(pool: &Pool, schemas: &[Schema]) -> Result<(), Error> {
    match tokio::time::timeout(ATTEMPT, attempt(pool, schemas)).await {
        Ok(result) => result,
        Err(elapsed) => Err(Error::Unavailable(source(elapsed))),
    }
}

async fn attempt(pool: &Pool, schemas: &[Schema]) -> Result<(), Error> {
    // The session does not return to the pool: its lock and its settings end with it.
    let mut session = pool.unchecked().await?;
    require_settings(&session, pool.statement_timeout).await?;
    if pool.migrations == Migrations::Apply {
        session.batch_execute(SESSION).await?;
        session.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    }
    for (name, migrations) in schemas {
        let steps = migrations
            .iter()
            .map(|(step, sql)| refinery::Migration::unapplied(step, sql))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Error::from_migration)?;
        match pool.migrations {
            Migrations::Apply => apply_or_record(&mut session, name, &steps).await?,
            Migrations::Await => history::require(&session, name, &steps).await?,
        }
    }
    Ok(())
}

/// Refuses a server that does not keep the settings of our connections. A pooler loses them, and behind a pooler the sessions,
/// to which locks, settings and prepared statements belong, are shared.
async fn require_settings(session: &ClientWrapper, statement_timeout: Duration) -> Result<(), Error> {
    let answer = session.simple_query(STATEMENT_TIMEOUT).await?;
    let actual = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten(),
        _ => None,
    });
    let expected = statement_timeout.as_millis().to_string();
    if actual == Some(expected.as_str()) {
        return Ok(());
    }
    let why = format!(
        "the session has a statement_timeout of {} ms instead of {expected} ms: connect to PostgreSQL directly, \
         because a pooler such as PgBouncer is not supported",
        actual.unwrap_or("no")
    );
    Err(Error::Refused(source(why)))
}

/// Applies the missing steps. A failed step is recorded for the services that wait for it.
async fn apply_or_record(
    session: &mut ClientWrapper,
    name: &str,
    steps: &[refinery::Migration],
) -> Result<(), Error> {
    history::forget_failure(session, name).await?;
    let Err(error) = apply(session, name, steps).await else { return Ok(()) };
    if matches!(error, Error::Migration(_)) {
        let recorded = async {
            match history::first_missing(session, name, steps).await? {
                Some(step) => history::record_failure(session, name, step, &error).await,
                None => Ok(()),
            }
        };
        if let Err(error) = recorded.await {
            tracing::warn!(
                error = &error as &dyn StdError,
                "cannot record the failed migration, so services go on waiting for it"
            );
        }
    }
    Err(error)
}

async fn apply(session: &mut ClientWrapper, name: &str, steps: &[refinery::Migration]) -> Result<(), Error> {
    let report = Runner::new(steps)
        .set_abort_divergent(true)
        .set_abort_missing(true)
        .set_migration_table_name(history::table(name))
        .run_async(&mut **session)
        .await
        .map_err(Error::from_migration)?;
    for step in report.applied_migrations() {
        tracing::info!(schema = name, migration = %step, "migration applied");
    }
    Ok(())
}
