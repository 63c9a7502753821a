//! Runs a transaction: connection, limits, COMMIT, and a bounded retry where that is safe.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBuilder};

use crate::{
    Error, Pool, Tx, TxError, TxFuture,
    deadline::{self, TimeoutBudget},
    error::source,
    metrics,
    pool::{Connection, closed_on_drop, release},
};

/// Retries of one transaction: three, below 20, 40 and 80 ms.
const BACKOFF: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(10)).with_max_times(3).with_jitter();

/// Time limit for ROLLBACK. The server first ends the dropped statements, most of which it refuses; if one runs on, closing
/// the connection is cheaper than waiting.
const ROLLBACK_TIMEOUT: Duration = Duration::from_millis(250);

/// Runs `work` in one READ COMMITTED transaction and commits it when it returns `Ok`.
///
/// `name` labels the metrics. A serialization failure or deadlock runs the transaction again, at most three times, with
/// backoff and jitter; prepared statements that the server forgot, or that a changed schema made stale, run it again at once.
/// Nothing else is retried here. A [deadline](deadline::scope()) around the call bounds the wait for a connection, each
/// statement on the server, and the retries.
///
/// The closure captures nothing and gets its parameters through `context`: only so can the compiler prove, for every
/// lifetime at once, that the returned future may move between threads (rust-lang/rust#110338).
pub async fn run_tx<C, T, E, F>(pool: &Pool, name: &'static str, context: &C, work: F) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    with_retry(pool, name, || attempt_tx(pool, context, &work)).await
}

/// Runs attempts, each a transaction, until one is not retried, and observes them together under `name`.
pub(crate) async fn with_retry<T, E, F>(
    pool: &Pool,
    name: &'static str,
    attempt_once: impl Fn() -> F,
) -> Result<T, E>
where
    E: TxError,
    F: Future<Output = Result<T, E>>,
{
    let started = Instant::now();
    let mut pauses = BACKOFF.build();
    loop {
        let result = attempt_once().await;
        let failure = result.as_ref().err().and_then(TxError::database);
        let stale = matches!(failure, Some(Error::StaleStatement(_)));
        if (stale || matches!(failure, Some(Error::Conflict(_))))
            && let Some(pause) = pauses.next()
        {
            let pause = if stale { Duration::ZERO } else { pause };
            if deadline::remaining().is_some_and(|remaining| remaining <= pause) {
                metrics::observe_tx(name, "deadline_exceeded", started);
                return Err(Error::DeadlineExceeded(source("no time is left for another attempt")).into());
            }
            if stale {
                pool.forget_plans();
            }
            metrics::TX_RETRIES.with_label_values(&[name]).inc();
            tokio::time::sleep(pause).await;
            continue;
        }
        let outcome = match (&result, failure) {
            (Ok(_), _) => "committed",
            (Err(_), Some(error)) => error.label(),
            (Err(_), None) => "rolled_back",
        };
        metrics::observe_tx(name, outcome, started);
        return result;
    }
}

/// The progress of an attempt. It decides whether its connection can be reused, and what a timeout means.
#[derive(Default)]
struct Progress {
    /// COMMIT may have been sent.
    committing: AtomicBool,
    /// The transaction has ended, and no statement runs.
    ended: AtomicBool,
}

async fn attempt_tx<C, T, E, F>(pool: &Pool, context: &C, work: &F) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    // Closed, unless the transaction is known to have ended: its future can be dropped at every await.
    let connection = closed_on_drop(pool.get().await?);
    let progress = Progress::default();
    let running = in_tx(&connection, pool.statement_timeout, context, work, &progress);
    let budget = TimeoutBudget::at_most(pool.transaction_timeout);
    match tokio::time::timeout(budget.limit, running).await {
        Ok(result) => {
            if progress.ended.into_inner() {
                release(connection);
            }
            result
        }
        Err(timed_out) if progress.committing.into_inner() => {
            Err(Error::CommitUnknown(source(timed_out)).into())
        }
        Err(timed_out) => Err(budget.exceeded(timed_out).into()),
    }
}

async fn in_tx<C, T, E, F>(
    connection: &Connection,
    statement_timeout: Duration,
    context: &C,
    work: &F,
    progress: &Progress,
) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    let tx = Tx::begin(connection, statement_timeout).await;
    let result = match work(&tx, context).await {
        Ok(value) => tx.require_success().await.map(|()| value).map_err(E::from),
        Err(error) => Err(error),
    };
    let value = match result {
        Ok(value) => value,
        Err(error) => {
            let rolled_back = tokio::time::timeout(ROLLBACK_TIMEOUT, tx.rollback()).await;
            progress.ended.store(matches!(rolled_back, Ok(Ok(()))), Ordering::Relaxed);
            return Err(error);
        }
    };
    progress.committing.store(true, Ordering::Relaxed);
    let committed = tx.commit().await;
    progress.ended.store(!matches!(committed, Err(Error::CommitUnknown(_))), Ordering::Relaxed);
    committed?;
    Ok(value)
}
