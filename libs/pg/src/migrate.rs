//! Migrations, run by one process at a time, before anything else touches the database.

mod failure;
mod history;

use std::{error::Error as StdError, time::Duration};

use deadpool_postgres::ClientWrapper;
use refinery::Runner;
use tokio::time::sleep;
use tokio_postgres::SimpleQueryMessage;

use crate::{Error, Migrations, Pool};

/// One step of a schema: `("V1__create_orders", include_str!("…"))`. Immutable once released.
pub type Migration = (&'static str, &'static str);

/// A schema with a history of its own. A library that owns tables brings its own, and so evolves on its own.
pub type Schema = (&'static str, &'static [Migration]);

/// Serialises migrations of this database; "MUSTER" on a telephone keypad.
const LOCK: i64 = 687_837;

/// How long to wait for another process that migrates, and for one migration to run.
const SESSION: &str = "SET lock_timeout = '60s'; SET statement_timeout = '60s'; \
                       SET idle_in_transaction_session_timeout = '60s'";

const STATEMENT_TIMEOUT: &str = "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'";

/// How long all of it may take as seen from here: long enough to wait for a lock and migrate, and an end to the wait for
/// a server that fell silent.
const ATTEMPT: Duration = Duration::from_mins(5);

/// Longest pause between attempts to reach a database that is not there yet.
const MAX_PAUSE_MS: u64 = 2_000;

/// Brings the schemas up to date, or waits until somebody else has ([`Migrations`]), and opens the pool: until then every
/// transaction is refused as unavailable.
///
/// Waits for a database that cannot be reached, for as long as it takes; drop the future to give up.
///
/// # Errors
/// Refuses a database whose history this program does not know: a changed or missing migration, and a newer one when it
/// migrates itself; and a pooler between. One that waits accepts newer ones: it is the older version beside which a roll-out put the next.
/// A migration that failed in the process that applies it ends the wait, with the reason.
pub async fn migrate(pool: &Pool, schemas: &[Schema]) -> Result<(), Error> {
    while let Err(error) = bounded_attempt(pool, schemas).await {
        if !error.is_transient() {
            return Err(error);
        }
        tracing::warn!(
            error = &error as &dyn StdError,
            "the schema cannot be brought up to date yet, trying again"
        );
        sleep(Duration::from_millis(rand::random_range(100..=MAX_PAUSE_MS))).await;
    }
    pool.open();
    Ok(())
}

async fn bounded_attempt(pool: &Pool, schemas: &[Schema]) -> Result<(), Error> {
    match tokio::time::timeout(ATTEMPT, attempt(pool, schemas)).await {
        Ok(result) => result,
        Err(elapsed) => Err(Error::Unavailable(Box::new(elapsed))),
    }
}

async fn attempt(pool: &Pool, schemas: &[Schema]) -> Result<(), Error> {
    // The session is not given back to the pool: its lock and its settings end with it, however this ends.
    let mut session = pool.unchecked().await?;
    require_settings(&session, pool.statement_timeout()).await?;
    if pool.migrations() == Migrations::Apply {
        session.batch_execute(SESSION).await?;
        session.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    }
    for (name, migrations) in schemas {
        let steps = migrations
            .iter()
            .map(|(step, sql)| refinery::Migration::unapplied(step, sql))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Error::from_migration)?;
        match pool.migrations() {
            Migrations::Apply => apply_or_note(&mut session, name, &steps).await?,
            Migrations::Await => history::require(&session, name, &steps).await?,
        }
    }
    Ok(())
}

/// Refuses a server that does not keep the limits which every connection asks for. They are lost where a pooler stands between, and
/// sessions, which locks, settings and prepared statements belong to, are not ours there.
async fn require_settings(session: &ClientWrapper, statement_timeout: Duration) -> Result<(), Error> {
    let answer = session.simple_query(STATEMENT_TIMEOUT).await?;
    let kept = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten(),
        _ => None,
    });
    let asked = statement_timeout.as_millis().to_string();
    if kept == Some(asked.as_str()) {
        return Ok(());
    }
    let why = format!(
        "a statement_timeout of {asked} ms was asked for, and the session has {}: connect to PostgreSQL itself, \
         because a pooler such as PgBouncer between is not supported",
        kept.unwrap_or("none")
    );
    Err(Error::Refused(why.into()))
}

/// Applies the steps that are missing. One that cannot be applied is noted for those that wait for it.
async fn apply_or_note(
    session: &mut ClientWrapper,
    name: &str,
    steps: &[refinery::Migration],
) -> Result<(), Error> {
    failure::forget(session, name).await?;
    let Err(error) = apply(session, name, steps).await else { return Ok(()) };
    if matches!(error, Error::Migration(_)) {
        let noted = async {
            match history::first_missing(session, name, steps).await? {
                Some(step) => failure::note(session, name, step, &error).await,
                None => Ok(()),
            }
        };
        if let Err(error) = noted.await {
            tracing::warn!(
                error = &error as &dyn StdError,
                "services that wait for this migration will not learn that it failed"
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
