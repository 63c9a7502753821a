//! Which migrations a database has seen, for a process that waits for them and applies none.

use std::collections::BTreeMap;

use deadpool_postgres::ClientWrapper;
use refinery::Migration;
use tokio_postgres::error::SqlState;

use super::failure;
use crate::{Columns as _, Error};

/// The table in which the history of a schema stands.
pub(super) fn table(schema: &str) -> String {
    format!("{schema}_migrations")
}

/// Fails as unavailable, and so for a while only, as long as a step is missing; for good when one was changed, or
/// could not be applied.
pub(super) async fn require(session: &ClientWrapper, schema: &str, steps: &[Migration]) -> Result<(), Error> {
    let Some(missing) = first_missing(session, schema, steps).await? else { return Ok(()) };
    if let Some(reason) = failure::find(session, schema, missing).await? {
        let why =
            format!("migration {missing} of schema {schema} failed in the process that applies it: {reason}");
        return Err(Error::Migration(why.into()));
    }
    let why = format!("migration {missing} of schema {schema} has not been applied yet");
    Err(Error::Unavailable(why.into()))
}

/// Returns the first step that has not been applied; fails for good when one before it was changed.
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
                return Err(Error::Migration(why.into()));
            }
            None => return Ok(Some(step)),
        }
    }
    Ok(None)
}

/// Checksums by version; none where nothing has been applied yet.
async fn applied(session: &ClientWrapper, schema: &str) -> Result<BTreeMap<i64, String>, Error> {
    let query = format!("SELECT version::bigint, checksum FROM {}", table(schema));
    match session.query(&query, &[]).await {
        Ok(rows) => rows.iter().map(|row| Ok((row.column(0)?, row.column(1)?))).collect(),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}
