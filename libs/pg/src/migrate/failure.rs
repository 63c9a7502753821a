//! A migration that failed, noted in its database: whoever waits for it would else wait for a job that has given up.

use std::error::Error as StdError;

use deadpool_postgres::ClientWrapper;
use refinery::Migration;
use tokio_postgres::error::SqlState;

use crate::{Columns as _, Error};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS failed_migrations (\
                      schema text PRIMARY KEY, version bigint NOT NULL, checksum text NOT NULL, \
                      reason text NOT NULL, failed_at timestamptz NOT NULL)";
const NOTE: &str = "INSERT INTO failed_migrations VALUES ($1, $2, $3, $4, clock_timestamp()) \
                    ON CONFLICT (schema) DO UPDATE SET version = EXCLUDED.version, checksum = EXCLUDED.checksum, \
                    reason = EXCLUDED.reason, failed_at = EXCLUDED.failed_at";
const FORGET: &str = "DELETE FROM failed_migrations WHERE schema = $1";
const FIND: &str =
    "SELECT reason FROM failed_migrations WHERE schema = $1 AND version = $2 AND checksum = $3";

/// Notes that `step` could not be applied, and why.
pub(super) async fn note(
    session: &ClientWrapper,
    schema: &str,
    step: &Migration,
    failure: &Error,
) -> Result<(), Error> {
    session.batch_execute(CREATE).await?;
    let (version, checksum, reason) =
        (i64::from(step.version()), step.checksum().to_string(), reason(failure));
    session.execute(NOTE, &[&schema, &version, &checksum, &reason]).await?;
    Ok(())
}

/// Forgets an earlier failure: it is being tried again.
pub(super) async fn forget(session: &ClientWrapper, schema: &str) -> Result<(), Error> {
    match session.execute(FORGET, &[&schema]).await {
        Err(error) if error.code() != Some(&SqlState::UNDEFINED_TABLE) => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Returns why exactly this step could not be applied, unless it has not been tried, or is being tried again.
pub(super) async fn find(
    session: &ClientWrapper,
    schema: &str,
    step: &Migration,
) -> Result<Option<String>, Error> {
    let (version, checksum) = (i64::from(step.version()), step.checksum().to_string());
    match session.query_opt(FIND, &[&schema, &version, &checksum]).await {
        Ok(row) => Ok(row.map(|row| row.column(0)).transpose()?),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the server said, without the detail that repeats the values of a row.
fn reason(failure: &Error) -> String {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(failure);
    while let Some(error) = cause {
        if let Some(answer) =
            error.downcast_ref::<tokio_postgres::Error>().and_then(|error| error.as_db_error())
        {
            return format!("{} {}: {}", answer.severity(), answer.code().code(), answer.message());
        }
        cause = error.source();
    }
    "the log of the process that migrates says why".to_owned()
}
