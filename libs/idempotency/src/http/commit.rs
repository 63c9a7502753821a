//! A COMMIT whose outcome is unknown.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use pg::{Error, Pool, Tx, TxError, TxFuture};

/// Further runs: six, after less than a second in all. What cut one connection has cut others, and each run may get one of those.
const BACKOFF: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(5)).with_max_times(6).with_jitter();

/// Runs a transaction that detects whether it has committed before, as [`pg::run_tx`] does. After an unknown COMMIT it runs again until
/// the database answers or the backoff ends.
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
    let mut result = pg::run_tx(pool, name, context, &work).await;
    if !matches!(failure(&result), Some(Error::CommitUnknown(_))) {
        return result;
    }
    tracing::warn!(transaction = name, "the outcome of a COMMIT is unknown, running the transaction again");
    for pause in BACKOFF.build() {
        tokio::time::sleep(pause).await;
        result = pg::run_tx(pool, name, context, &work).await;
        if !matches!(failure(&result), Some(Error::CommitUnknown(_) | Error::Unavailable(_))) {
            break;
        }
    }
    result
}

fn failure<T, E: TxError>(result: &Result<T, E>) -> Option<&Error> {
    result.as_ref().err().and_then(TxError::database)
}
