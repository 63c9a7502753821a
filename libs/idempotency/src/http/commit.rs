//! A COMMIT whose outcome is unknown.

use pg::{Error, Pool, Tx, TxError, TxFuture};

/// Runs a transaction that finds out by itself whether it has happened already, as [`pg::run_tx`] does; once more, if its
/// COMMIT got lost.
pub(super) async fn run_settled<C, T, E, F>(
    pool: &Pool,
    name: &'static str,
    context: &C,
    work: F,
) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    match pg::run_tx(pool, name, context, &work).await {
        Err(error) if matches!(error.database(), Some(Error::CommitUnknown(_))) => {
            tracing::warn!(transaction = name, "the outcome of a COMMIT is unknown; the key is asked");
            pg::run_tx(pool, name, context, &work).await
        }
        known => known,
    }
}
