//! Database errors, classified by SQLSTATE and never by message text. Each variant is a decision of the caller.

use std::{error::Error as StdError, iter::successors, sync::Arc};

use deadpool_postgres::{PoolError, TimeoutType};
use thiserror::Error;
use tokio_postgres::error::SqlState;

pub(crate) type Source = Arc<dyn StdError + Send + Sync>;

pub(crate) fn source(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Source {
    Arc::from(cause.into())
}

/// The server's answer without the detail, which repeats values of a row and must not be logged.
#[derive(Debug, Error)]
#[error("{severity} {code}: {message}")]
struct Answer {
    severity: String,
    code: String,
    message: String,
}

/// A failure of the database or of the connection to it.
#[derive(Clone, Debug, Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Error {
    /// No connection, a lost one, or a server that is shutting down, full or too slow: try again later.
    #[error("the database is unavailable")]
    Unavailable(#[source] Source),

    /// The connection was lost during COMMIT: the transaction may or may not have happened.
    #[error("the connection was lost during COMMIT, so its outcome is unknown")]
    CommitUnknown(#[source] Source),

    /// Another transaction holds the lock that this one needs.
    #[error("another transaction holds the lock")]
    Locked(#[source] Source),

    /// The transaction lost against a concurrent one (serialization failure or deadlock) and may be run again.
    #[error("the transaction conflicted with a concurrent one")]
    Conflict(#[source] Source),

    /// A prepared statement is stale: the schema changed, or the session forgot it (`DISCARD ALL`). Nothing was done. The
    /// transaction ran again with new statements and failed in the same way.
    #[error("a prepared statement is stale")]
    StaleStatement(#[source] Source),

    /// The [deadline](crate::deadline) of the task has passed: its caller has stopped waiting.
    #[error("the deadline has passed")]
    DeadlineExceeded(#[source] Source),

    /// A constraint refused the write.
    #[error("constraint {constraint} refused the write")]
    Constraint {
        /// The constraint's name in the schema.
        constraint: String,
        /// The server's answer.
        #[source]
        source: Source,
    },

    /// A write touched another number of rows than it must.
    #[error("{statement} touched {touched} rows instead of {expected}")]
    UnexpectedRowCount {
        /// The statement, as it was written.
        statement: &'static str,
        /// Rows it should have touched.
        expected: u64,
        /// Rows it touched.
        touched: u64,
    },

    /// A column is missing or has another type than this release reads: an incompatible change of the schema.
    #[error("the column {column} cannot be read")]
    Unreadable {
        /// The column's name, or its index.
        column: String,
        /// The conversion error.
        #[source]
        source: Source,
    },

    /// A column holds a value that this release does not know; a newer one that runs beside it may.
    #[error("the column {column} holds the value {value:?}, which this release does not know")]
    UnknownValue {
        /// The column's name.
        column: &'static str,
        /// Its value: one of a fixed set, such as a state; never personal data.
        value: String,
    },

    /// The settings cannot be used.
    #[error("the settings of the database are wrong")]
    Settings(#[source] Source),

    /// Anything else: a mistake in a statement or in the schema.
    #[error("the database refused a statement")]
    Refused(#[source] Source),

    /// A migration failed, or this program does not know the schema.
    #[error("the schema cannot be brought up to date")]
    Migration(#[source] Source),
}

impl Error {
    /// Whether the same call may succeed later without a change of program, settings or schema.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_)
                | Self::CommitUnknown(_)
                | Self::Locked(_)
                | Self::Conflict(_)
                | Self::UnknownValue { .. }
                | Self::DeadlineExceeded(_)
        )
    }

    /// Whether no connection of the pool became free within the configured time: more callers wait than the database can serve.
    ///
    /// A caller whose own deadline was shorter says nothing about the pool.
    pub fn is_pool_exhausted(&self) -> bool {
        let Self::Unavailable(cause) = self else { return false };
        matches!(cause.downcast_ref(), Some(PoolError::Timeout(TimeoutType::Wait)))
    }

    /// The constraint that refused a write.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Constraint { constraint, .. } => Some(constraint),
            _ => None,
        }
    }

    /// The label under which this failure is counted.
    pub(crate) fn label(&self) -> &'static str {
        self.into()
    }

    /// The failure of a COMMIT. A server that loses its connections or shuts down may have committed before.
    pub(crate) fn from_commit(error: tokio_postgres::Error) -> Self {
        let outcome_is_known = error.code().is_some_and(|code| !is_unavailable(code));
        if outcome_is_known { error.into() } else { Self::CommitUnknown(source(error)) }
    }

    /// The failure of a migration: final, unless the connection was lost. A migration that reached the statement timeout is not
    /// retried, because each attempt locks its tables.
    pub(crate) fn from_migration(error: refinery::Error) -> Self {
        let passes = |code: &SqlState| is_unavailable(code) && *code != SqlState::QUERY_CANCELED;
        // The failure of a look at the history is inside two errors of the library.
        let causes = successors(Some(&error as &dyn StdError), |cause| (*cause).source());
        let mut causes = causes.filter_map(|cause| cause.downcast_ref::<tokio_postgres::Error>());
        let cause = causes.next();
        if cause.is_some_and(|cause| cause.code().map_or_else(|| is_connection_failure(cause), passes)) {
            Self::Unavailable(source(error))
        } else {
            Self::Migration(source(error))
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(answer) = error.as_db_error() else {
            return if is_connection_failure(&error) {
                Self::Unavailable(source(error))
            } else {
                Self::Refused(source(error))
            };
        };
        let source: Source = Arc::new(Answer {
            severity: answer.severity().to_owned(),
            code: answer.code().code().to_owned(),
            message: answer.message().to_owned(),
        });
        match answer.code() {
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Self::Conflict(source),
            &SqlState::LOCK_NOT_AVAILABLE => Self::Locked(source),
            // "cached plan must not change result type", and in a function "type of parameter … does not match that when preparing
            // the plan"; a name that the server does not know, or knows already.
            &SqlState::FEATURE_NOT_SUPPORTED
            | &SqlState::DATATYPE_MISMATCH
            | &SqlState::INVALID_SQL_STATEMENT_NAME
            | &SqlState::DUPLICATE_PSTATEMENT => Self::StaleStatement(source),
            code if is_unavailable(code) => Self::Unavailable(source),
            code if code.code().starts_with("23") => {
                Self::Constraint { constraint: answer.constraint().unwrap_or_default().to_owned(), source }
            }
            _ => Self::Refused(source),
        }
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            // A certificate can be renewed while this process runs.
            PoolError::Backend(error) if tls::explain(&error).is_some() => {
                Self::Unavailable(source(tls::Failure::explained(Box::new(error))))
            }
            PoolError::Backend(error) => error.into(),
            other => Self::Unavailable(source(other)),
        }
    }
}

/// Classes 08 (connection), 53 (resources), 57 (operator intervention, statement timeout included), 25P03 (idle in
/// transaction) and 25006 (read-only server after a failover) are transient. A protocol violation (08P01) is not: a pooler
/// answers with it when it refuses our settings.
/// <https://www.postgresql.org/docs/15/errcodes-appendix.html>
fn is_unavailable(code: &SqlState) -> bool {
    let code = code.code();
    let class_passes = ["08", "53", "57"].iter().any(|class| code.starts_with(class)) && code != "08P01";
    class_passes || code == "25P03" || code == "25006"
}

/// Whether an error without an answer from the server means a closed, broken or timed-out connection. Such an error has an I/O
/// error or nothing as its source; a value that does not fit its column has a conversion error.
fn is_connection_failure(error: &tokio_postgres::Error) -> bool {
    error.source().is_none_or(<dyn StdError>::is::<std::io::Error>)
}
