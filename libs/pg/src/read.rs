//! One SELECT without a transaction around it: one round trip instead of three.

use tokio::time::timeout;
use tokio_postgres::{Row, types::ToSql};

use crate::{Error, Pool, in_use::InUse, patience::Patience, run::retried, tx::at_most_one};

/// Returns the one row of a SELECT, if it is there. To the server it is a transaction of one statement, and so it is to the
/// metrics, under `name`.
///
/// The limits are those of [`run_tx`](crate::run_tx()). A deadline ends the wait, but only the statement timeout ends the
/// statement: what may wait for a lock, or is long, belongs into a transaction.
///
/// # Errors
/// As of a transaction. What does not begin with SELECT is refused: a write needs a COMMIT whose outcome is known.
pub async fn query_opt(
    pool: &Pool,
    name: &'static str,
    sql: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<Row>, Error> {
    retried(pool, name, || read(pool, sql, params)).await
}

async fn read(pool: &Pool, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error> {
    if !sql.starts_with("SELECT ") {
        return Err(Error::Refused("only a SELECT goes without a transaction".into()));
    }
    let connection = InUse::new(pool.get().await?);
    let patience = Patience::at_most(pool.transaction_timeout());
    let querying = async {
        let statement = connection.prepare_cached(sql).await?;
        connection.query(&statement, params).await
    };
    let answered = timeout(patience.limit, querying).await.map_err(|elapsed| patience.exceeded(elapsed))?;
    connection.give_back();
    at_most_one(sql, answered?)
}
