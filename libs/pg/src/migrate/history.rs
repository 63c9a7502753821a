//! Applied migrations of a database, and the failed one. A process that awaits migrations reads both and changes neither.

use std::{collections::BTreeMap, error::Error as StdError, iter::successors};

use deadpool_postgres::ClientWrapper;
use refinery::Migration;
use tokio_postgres::error::SqlState;

use crate::{Columns as _, Error, error::source};

const CREATE_FAILURES: &str = "CREATE TABLE IF NOT EXISTS failed_migrations (\
                      schema text PRIMARY KEY, version bigint NOT NULL, checksum text NOT NULL, \
                      reason text NOT NULL, failed_at timestamptz NOT NULL)";
const RECORD_FAILURE: &str = "INSERT INTO failed_migrations VALUES ($1, $2, $3, $4, clock_timestamp()) \
                    ON CONFLICT (schema) DO UPDATE SET version = EXCLUDED.version, checksum = EXCLUDED.checksum, \
                    reason = EXCLUDED.reason, failed_at = EXCLUDED.failed_at";
const FORGET_FAILURE: &str = "DELETE FROM failed_migrations WHERE schema = $1";
const FIND_FAILURE: &str =
    "SELECT reason FROM failed_migrations WHERE schema = $1 AND version = $2 AND checksum = $3";

pub(super) fn table(schema: &str) -> String {
    format!("{schema}_migrations")
}

/// Fails with a transient error while a step is missing, and with a final one when a step was changed or failed.
pub(super) async fn require(session: &ClientWrapper, schema: &str, steps: &[Migration]) -> Result<(), Error> {
    let Some(missing) = first_missing(session, schema, steps).await? else { return Ok(()) };
    if let Some(reason) = find_failure(session, schema, missing).await? {
        let why =
            format!("migration {missing} of schema {schema} failed in the process that applies it: {reason}");
        return Err(Error::Migration(source(why)));
    }
    let why = format!("migration {missing} of schema {schema} has not been applied yet");
    Err(Error::Unavailable(source(why)))
}

/// Returns the first step that is not applied. Fails when a step before it was changed.
pub(super) async fn first_missing<'a>(
    session: &ClientWrapper,
    schema: &str,
    steps: &'a [Migration],
) -> Result<Option<&'a Migration>, Error> {
    let applied = applied(session, schema).await?;
    for step in steps {
        match applied.get(&step.version().into()) {
            Some(checksum) if *checksum == step.checksum().to_string() => {}
            Some(_) => {
                let why = format!("migration {step} of schema {schema} is not the one that was applied");
                return Err(Error::Migration(source(why)));
            }
            None => return Ok(Some(step)),
        }
    }
    Ok(None)
}

/// Checksums by version; empty without a history table.
async fn applied(session: &ClientWrapper, schema: &str) -> Result<BTreeMap<i64, String>, Error> {
    let query = format!("SELECT version::bigint, checksum FROM {}", table(schema));
    match session.query(&query, &[]).await {
        Ok(rows) => rows.iter().map(|row| Ok((row.column(0)?, row.column(1)?))).collect(),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn record_failure(
    session: &ClientWrapper,
    schema: &str,
    step: &Migration,
    failure: &Error,
) -> Result<(), Error> {
    session.batch_execute(CREATE_FAILURES).await?;
    let (version, checksum, reason) =
        (i64::from(step.version()), step.checksum().to_string(), reason(failure));
    session.execute(RECORD_FAILURE, &[&schema, &version, &checksum, &reason]).await?;
    Ok(())
}

/// Deletes the record of an earlier failure before another attempt.
pub(super) async fn forget_failure(session: &ClientWrapper, schema: &str) -> Result<(), Error> {
    match session.execute(FORGET_FAILURE, &[&schema]).await {
        Err(error) if error.code() != Some(&SqlState::UNDEFINED_TABLE) => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn find_failure(
    session: &ClientWrapper,
    schema: &str,
    step: &Migration,
) -> Result<Option<String>, Error> {
    let (version, checksum) = (i64::from(step.version()), step.checksum().to_string());
    match session.query_opt(FIND_FAILURE, &[&schema, &version, &checksum]).await {
        Ok(row) => Ok(row.map(|row| row.column(0)).transpose()?),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The server's answer without the detail, which repeats values of a row.
fn reason(failure: &Error) -> String {
    let mut causes = successors(Some(failure as &(dyn StdError + 'static)), |error| (*error).source());
    match causes.find_map(|error| error.downcast_ref::<tokio_postgres::Error>()?.as_db_error()) {
        Some(answer) => format!("{} {}: {}", answer.severity(), answer.code().code(), answer.message()),
        None => "see the log of the process that applies migrations".to_owned(),
    }
}
