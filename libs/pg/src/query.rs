//! Single statements without a transaction around them, which take one round trip instead of three, and values of rows.

use std::fmt::Display;

use tokio::time::timeout;
use tokio_postgres::{
    Row,
    row::RowIndex,
    types::{FromSql, ToSql},
};

use crate::{
    Error, Pool,
    deadline::TimeoutBudget,
    error::source,
    pool::{closed_on_drop, release},
    run_tx::with_retry,
    tx::at_most_one,
};

/// Runs one SELECT and returns its row, if it has one. The metrics count it as a transaction, under `name`.
///
/// The limits are those of [`run_tx`](crate::run_tx()). A deadline ends the wait, but only the statement timeout ends the
/// statement: a SELECT that can wait for a lock, or is long, belongs into a transaction.
///
/// # Errors
/// As of a transaction. Another statement than a SELECT is refused: a write needs a COMMIT whose outcome is known.
pub async fn query_opt(
    pool: &Pool,
    name: &'static str,
    sql: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<Row>, Error> {
    with_retry(pool, name, || read(pool, sql, params)).await
}

/// Runs one statement that writes, and returns its row, if it has one. The statement commits by itself; the metrics count it as a
/// transaction, under `name`.
///
/// For a statement that is complete in itself, such as `INSERT ... ON CONFLICT ... RETURNING`. After a deadline it can run on, and commit, until
/// the statement timeout of the server; a transaction ends with its deadline. The limits and the retry after
/// a conflict are those of [`run_tx`](crate::run_tx()).
///
/// # Errors
/// As of a transaction: [`Error::CommitUnknown`] when the connection is lost, or the time is over, after the statement
/// was sent.
pub async fn write_opt(
    pool: &Pool,
    name: &'static str,
    sql: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<Row>, Error> {
    with_retry(pool, name, || write(pool, sql, params)).await
}

async fn read(pool: &Pool, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error> {
    if !sql.starts_with("SELECT ") {
        return Err(Error::Refused(source("only a SELECT runs without a transaction")));
    }
    let connection = closed_on_drop(pool.get().await?);
    let budget = TimeoutBudget::at_most(pool.transaction_timeout);
    let querying = async {
        let statement = connection.prepare_cached(sql).await?;
        connection.query(&statement, params).await
    };
    let answered = timeout(budget.limit, querying).await.map_err(|elapsed| budget.exceeded(elapsed))?;
    release(connection);
    at_most_one(sql, answered?)
}

async fn write(pool: &Pool, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error> {
    let connection = closed_on_drop(pool.get().await?);
    let budget = TimeoutBudget::at_most(pool.transaction_timeout);
    let preparing = timeout(budget.limit, connection.prepare_cached(sql)).await;
    let statement = preparing.map_err(|elapsed| budget.exceeded(elapsed))??;
    let budget = TimeoutBudget::at_most(pool.transaction_timeout);
    let answered = timeout(budget.limit, connection.query(&statement, params)).await;
    let answered = answered.map_err(|elapsed| Error::CommitUnknown(source(elapsed)))?;
    let rows = answered.map_err(Error::from_commit);
    if !matches!(rows, Err(Error::CommitUnknown(_))) {
        release(connection);
    }
    at_most_one(sql, rows?)
}

/// Reads the columns of a row without a panic.
///
/// A newer release can change the type of a column while this one runs. That fails one transaction here;
/// `tokio_postgres::Row::get` panics, and a lint bans it.
pub trait Columns {
    /// Returns the value of a column, by its name or its index.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the column is missing, has another type, or is NULL and `T` is not an `Option`.
    fn column<'a, T: FromSql<'a>>(&'a self, column: impl RowIndex + Display) -> Result<T, Error>;
}

impl Columns for Row {
    fn column<'a, T: FromSql<'a>>(&'a self, column: impl RowIndex + Display) -> Result<T, Error> {
        self.try_get(&column)
            .map_err(|error| Error::Unreadable { column: column.to_string(), source: source(error) })
    }
}
