//! Why a group of steps was not done, and whose fault that is.

use outbox::AppendError;
use thiserror::Error;
use uuid::Uuid;

/// Why a group was not done. Nothing of it was.
#[derive(Debug, Error)]
#[error("a group of {} orders was not worked on", orders.len())]
pub(super) struct GroupError {
    /// The orders that were taken; none when it failed before.
    pub(super) orders: Vec<Uuid>,
    #[source]
    pub(super) cause: AppendError,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Somebody else has a row or a table. It passes by itself.
    Held,
    /// The step's of one of these orders: trying again at once would fail in the same way.
    Fault,
    /// Nobody's of these orders.
    Outage,
}

impl GroupError {
    pub(super) fn trouble(&self) -> Trouble {
        if self.orders.is_empty() {
            return Trouble::Outage;
        }
        match &self.cause {
            AppendError::Encode(events::EncodeError::NotRegistered(_)) => Trouble::Outage,
            AppendError::Encode(events::EncodeError::Mismatch(..)) => Trouble::Fault,
            AppendError::Database(error) => of_database(error),
        }
    }
}

fn of_database(error: &pg::Error) -> Trouble {
    use pg::Error;
    match error {
        Error::Locked(_) | Error::Conflict(_) => Trouble::Held,
        Error::Constraint { .. }
        | Error::UnexpectedRowCount { .. }
        | Error::Unreadable { .. }
        | Error::UnknownValue { .. }
        | Error::Refused(_) => Trouble::Fault,
        Error::Unavailable(_)
        | Error::CommitUnknown(_)
        | Error::StaleStatement(_)
        | Error::DeadlineExceeded(_)
        | Error::Settings(_)
        | Error::Migration(_) => Trouble::Outage,
    }
}

impl From<pg::Error> for GroupError {
    /// A failure before any order was taken, or of the COMMIT.
    fn from(error: pg::Error) -> Self {
        Self { orders: Vec::new(), cause: AppendError::Database(error) }
    }
}

impl pg::TxError for GroupError {
    fn database(&self) -> Option<&pg::Error> {
        self.cause.database()
    }
}
