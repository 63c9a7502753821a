//! Partitions of a table: made ahead of time, and dropped when they are no longer needed.

use std::{error::Error as StdError, time::Duration};

use tokio_postgres::types::ToSql;

use crate::{Columns as _, Error, Pool, write_opt};

/// Interval of checks. Make partitions days ahead of their first row.
const INTERVAL: Duration = Duration::from_mins(1);

/// A statement, its parameters, and its name in the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// The name, as of [`write_opt`].
    pub name: &'static str,
    /// The text.
    pub sql: &'static str,
    /// The parameters.
    pub params: &'a [&'a (dyn ToSql + Sync)],
}

/// The statements that maintain the partitions of a table.
#[derive(Clone, Copy, Debug)]
pub struct Partitions<'a> {
    /// The name of the table, for the log.
    pub table: &'a str,
    /// Makes the partitions that are missing.
    pub create: Statement<'a>,
    /// Drops one partition and returns its name, or NULL when there is none to drop. Writers wait for its lock, so it has a short lock timeout.
    pub drop: Statement<'a>,
}

/// Maintains the partitions until it is dropped.
///
/// A failure, such as a lock that a long transaction holds, is logged and tried again after a minute: rows without a partition go to the default one.
pub async fn run_partitions(pool: &Pool, partitions: Partitions<'_>) {
    loop {
        if let Err(error) = maintain(pool, partitions).await {
            let table = partitions.table;
            tracing::warn!(error = &error as &dyn StdError, table, "the partitions are not maintained");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn maintain(pool: &Pool, Partitions { table, create, drop }: Partitions<'_>) -> Result<(), Error> {
    write_opt(pool, create.name, create.sql, create.params).await?;
    loop {
        let row = write_opt(pool, drop.name, drop.sql, drop.params).await?;
        let dropped: Option<String> = row.map(|row| row.column(0)).transpose()?.flatten();
        let Some(partition) = dropped else { return Ok(()) };
        tracing::info!(partition, table, "dropped a partition");
    }
}
