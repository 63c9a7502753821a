//! An open transaction, whose statements can travel together.

mod pipeline;

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::Duration,
};

use deadpool_postgres::ClientWrapper;
use futures::future::{BoxFuture, try_join};
use tokio::{
    sync::{Mutex, MutexGuard},
    task::unconstrained,
};
use tokio_postgres::{Row, Statement, error::SqlState, types::ToSql};

use self::pipeline::{Begin, Failures};
use crate::{Error, deadline::TimeoutBudget, error::source};

/// `SET LOCAL`, with the value as a parameter. The lock timeout can stay: a statement ends while it waits for a lock, too.
const LIMIT_STATEMENTS: &str = "SELECT set_config('statement_timeout', $1, true)";

/// An open transaction.
///
/// Statements are prepared once per connection, and are literals: no SQL is built from strings.
///
/// Statements that do not need each other's results can travel together, as with `futures::try_join!`: the server runs them
/// one after the other, in the order in which they were first polled, for one round trip. When one fails, the statements
/// behind it fail with the same error independent of the order of polling; so poll or drop every statement that was sent before.
///
/// BEGIN travels with the first statement if that is a SELECT; a statement that writes waits until the transaction is open.
pub struct Tx<'a> {
    inner: &'a ClientWrapper,
    begin: Begin<'a>,
    /// Held until a statement is on the connection; a fair lock keeps the order.
    turn: Mutex<()>,
    failures: Failures,
    /// How long the server lets a statement run.
    statement_timeout: Duration,
    /// The deadline has shortened the statement timeout of the server.
    limited: AtomicBool,
}

/// An error of a transaction's closure.
pub trait TxError: From<Error> {
    /// The database failure behind this error; it decides whether the transaction runs again.
    fn database(&self) -> Option<&Error>;
}

impl TxError for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
}

impl<'a> Tx<'a> {
    /// Sends BEGIN. A caller that drops an open transaction closes its connection.
    pub(crate) async fn begin(inner: &'a ClientWrapper, statement_timeout: Duration) -> Self {
        Self {
            begin: Begin::send(inner).await,
            inner,
            turn: Mutex::new(()),
            failures: Failures::default(),
            statement_timeout,
            limited: AtomicBool::new(false),
        }
    }

    /// Fails unless every statement is known to have succeeded: otherwise the server may answer COMMIT with a rollback, and
    /// without an error.
    pub(crate) async fn require_success(&self) -> Result<(), Error> {
        self.require_open().await?;
        if let Some(first) = self.failures.first() {
            return Err(first);
        }
        if self.failures.has_dropped() {
            let why = "a statement was dropped before its answer, so its transaction cannot commit";
            return Err(Error::Refused(source(why)));
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        self.inner.batch_execute("COMMIT").await.map_err(Error::from_commit)
    }

    pub(crate) async fn rollback(self) -> Result<(), Error> {
        self.inner.batch_execute("ROLLBACK").await.map_err(Error::from)
    }

    /// Waits until the transaction is open: after a failed BEGIN each statement would commit by itself.
    async fn require_open(&self) -> Result<(), Error> {
        self.begin.answer().await.map_err(|error| self.failures.record(error))
    }

    /// Returns all rows.
    pub async fn query(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        self.run(sql, async |statement| self.inner.query(&statement, params).await).await
    }

    /// Returns all rows; PostgreSQL plans this statement with the values of its parameters. The setting holds until the end of the transaction.
    ///
    /// From the sixth execution on, PostgreSQL may use a generic plan of a prepared statement. It looks cheap while a table is small, and is
    /// kept when the table has grown. A generic plan cannot use an index for a filter that may be NULL, so a list would scan all rows.
    pub async fn query_with_custom_plan(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let setting = self.execute("SET LOCAL plan_cache_mode = force_custom_plan", &[]);
        let (_, rows) = try_join(setting, self.query(sql, params)).await?;
        Ok(rows)
    }

    /// Returns the one row.
    pub async fn query_one(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        let row = self.query_opt(sql, params).await?;
        row.ok_or(Error::UnexpectedRowCount { statement: sql, expected: 1, touched: 0 })
    }

    /// Returns the one row, if it is there.
    pub async fn query_opt(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        at_most_one(sql, self.query(sql, params).await?)
    }

    /// Returns how many rows were touched.
    pub async fn execute(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        self.run(sql, async |statement| self.inner.execute(&statement, params).await).await
    }

    /// Sends a statement behind those that were polled before, and waits for its answer.
    async fn run<T>(
        &self,
        sql: &'static str,
        send: impl AsyncFnOnce(Statement) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Error> {
        // Without tokio's cooperative budget, which could let a later statement queue first.
        let turn = unconstrained(self.turn.lock()).await;
        let limit = self.limit_of_deadline()?;
        let unanswered = self.failures.sending();
        if !sql.starts_with("SELECT ")
            && let Err(error) = self.require_open().await
        {
            unanswered.answered();
            return Err(error);
        }
        let outcome = self.send(turn, limit, sql, send).await;
        unanswered.answered();
        match outcome {
            Ok(value) => Ok(value),
            Err(error) => Err(self.failure(error).await),
        }
    }

    async fn send<T>(
        &self,
        turn: MutexGuard<'_, ()>,
        limit: Option<Duration>,
        sql: &'static str,
        send: impl AsyncFnOnce(Statement) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, tokio_postgres::Error> {
        if let Some(limit) = limit {
            let statement = self.inner.prepare_cached(LIMIT_STATEMENTS).await?;
            self.inner.query(&statement, &[&limit.as_millis().to_string()]).await?;
            self.limited.store(true, Ordering::Relaxed);
        }
        let statement = self.inner.prepare_cached(sql).await?;
        let mut sent = pin!(send(statement));
        // The first poll puts it on the connection.
        let first = futures::poll!(sent.as_mut());
        drop(turn);
        match first {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => sent.await,
        }
    }

    /// The statement timeout for the next statement, when the deadline is earlier than the configured one.
    ///
    /// Dropping the future at the deadline does not stop the server: without this timeout it would go on holding its locks.
    fn limit_of_deadline(&self) -> Result<Option<Duration>, Error> {
        let budget = TimeoutBudget::at_most(self.statement_timeout);
        if !budget.ends_with_deadline {
            return Ok(None);
        }
        if budget.limit.as_millis() == 0 {
            // To the server, zero would mean no limit.
            return Err(budget.exceeded("no time is left for the next statement"));
        }
        Ok(Some(budget.limit))
    }

    /// The error of a statement, or of the earlier statement because of which the server refused it.
    async fn failure(&self, error: tokio_postgres::Error) -> Error {
        if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
            && let Some(first) = self.failures.wait_for_first().await
        {
            return first;
        }
        let was_limited = self.limited.load(Ordering::Relaxed);
        self.failures.record(if was_limited && error.code() == Some(&SqlState::QUERY_CANCELED) {
            Error::DeadlineExceeded(source(error))
        } else {
            error.into()
        })
    }

    /// Executes a statement that must touch exactly `expected` rows.
    pub async fn execute_exactly(
        &self,
        expected: u64,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Error> {
        match self.execute(sql, params).await? {
            touched if touched == expected => Ok(()),
            touched => Err(Error::UnexpectedRowCount { statement: sql, expected, touched }),
        }
    }
}

/// Returns the row of a statement that returns one or none.
pub(crate) fn at_most_one(statement: &'static str, mut rows: Vec<Row>) -> Result<Option<Row>, Error> {
    match rows.len() {
        0 | 1 => Ok(rows.pop()),
        many => Err(Error::UnexpectedRowCount { statement, expected: 1, touched: many as u64 }),
    }
}

/// What the closure of a transaction returns: its future, boxed.
pub type TxFuture<'t, T, E> = BoxFuture<'t, Result<T, E>>;
