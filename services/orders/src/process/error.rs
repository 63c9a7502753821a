//! Why a group of orders failed, and which reaction follows.

use outbox::AppendError;
use thiserror::Error;
use uuid::Uuid;

/// The transaction of a group failed and changed nothing.
#[derive(Debug, Error)]
#[error("the transaction of a group of {} orders failed", orders.len())]
pub(super) struct GroupError {
    /// The orders that were claimed; empty if the transaction failed before that.
    pub(super) orders: Vec<Uuid>,
    #[source]
    pub(super) cause: AppendError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another transaction holds a lock. The lock ends by itself.
    Locked,
    /// One of the orders is the cause: an immediate retry would fail in the same way.
    Order,
    /// No order is the cause.
    Outage,
}

impl GroupError {
    pub(super) fn failure(&self) -> Failure {
        if self.orders.is_empty() {
            return Failure::Outage;
        }
        match &self.cause {
            AppendError::Encode(events::EncodeError::NotRegistered(_)) => Failure::Outage,
            AppendError::Encode(events::EncodeError::Mismatch(..)) => Failure::Order,
            AppendError::Database(error) => classify(error),
        }
    }
}

fn classify(error: &pg::Error) -> Failure {
    use pg::Error;
    match error {
        Error::Locked(_) | Error::Conflict(_) => Failure::Locked,
        Error::Constraint { .. }
        | Error::UnexpectedRowCount { .. }
        | Error::Unreadable { .. }
        | Error::UnknownValue { .. }
        | Error::Refused(_) => Failure::Order,
        Error::Unavailable(_)
        | Error::CommitUnknown(_)
        | Error::StaleStatement(_)
        | Error::DeadlineExceeded(_)
        | Error::Settings(_)
        | Error::Migration(_) => Failure::Outage,
    }
}

/// A failure before the claim, or of the COMMIT.
impl From<pg::Error> for GroupError {
    fn from(error: pg::Error) -> Self {
        Self { orders: Vec::new(), cause: AppendError::Database(error) }
    }
}

impl pg::TxError for GroupError {
    fn database(&self) -> Option<&pg::Error> {
        self.cause.database()
    }
}
