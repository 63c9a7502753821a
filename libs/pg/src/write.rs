//! One writing statement without a transaction around it: one round trip instead of three.

use tokio::time::timeout;
use tokio_postgres::{Row, types::ToSql};

use crate::{Error, Pool, in_use::InUse, patience::Patience, run::retried, tx::at_most_one};

/// Runs one statement that writes, and returns its row, if it returns one. To the server it is a transaction of one
/// statement, which commits with it, and so it is to the metrics, under `name`.
///
/// For a statement that is complete in itself, such as `INSERT ... ON CONFLICT ... RETURNING`. The limits are those of
/// [`run_tx`](crate::run_tx()), and so is the retry after a conflict.
///
/// # Errors
/// As of a transaction: [`Error::CommitUnknown`] when the connection was lost, or the time was over, after the statement
/// had been sent.
pub async fn write_opt(
    pool: &Pool,
    name: &'static str,
    sql: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<Row>, Error> {
    retried(pool, name, || write(pool, sql, params)).await
}

async fn write(pool: &Pool, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error> {
    let connection = InUse::new(pool.get().await?);
    let patience = Patience::at_most(pool.transaction_timeout());
    let preparing = timeout(patience.limit, connection.prepare_cached(sql)).await;
    let statement = preparing.map_err(|elapsed| patience.exceeded(elapsed))??;
    let answered = timeout(patience.limit, connection.query(&statement, params)).await;
    let answered = answered.map_err(|elapsed| Error::CommitUnknown(Box::new(elapsed)))?;
    let rows = answered.map_err(Error::from_commit);
    if !matches!(rows, Err(Error::CommitUnknown(_))) {
        connection.give_back();
    }
    at_most_one(sql, rows?)
}
