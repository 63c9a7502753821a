//! Why a group of transfers failed, and which reaction follows.

use outbox::AppendError;
use thiserror::Error;
use uuid::Uuid;

/// The transaction of a group failed and changed nothing.
#[derive(Debug, Error)]
#[error("the transaction of a group of {} transfers failed", transfers.len())]
pub(super) struct GroupError {
    /// The transfers that were claimed; empty if the transaction failed before that.
    pub(super) transfers: Vec<Uuid>,
    #[source]
    pub(super) cause: AppendError,
}

impl GroupError {
    /// Returns whether no transfer is the cause. Else a transfer is, or a lock that it needs: an immediate retry would fail in the same way.
    pub(super) fn is_outage(&self) -> bool {
        if self.transfers.is_empty() {
            return true;
        }
        match &self.cause {
            AppendError::Encode(events::EncodeError::NotRegistered(_)) => true,
            AppendError::Encode(events::EncodeError::Mismatch(..)) => false,
            AppendError::Database(error) => is_outage(error),
        }
    }
}

fn is_outage(error: &pg::Error) -> bool {
    use pg::Error;
    match error {
        Error::Locked(_)
        | Error::Conflict(_)
        | Error::Constraint { .. }
        | Error::UnexpectedRowCount { .. }
        | Error::Unreadable { .. }
        | Error::UnknownValue { .. }
        | Error::Refused(_) => false,
        Error::Unavailable(_)
        | Error::CommitUnknown(_)
        | Error::StaleStatement(_)
        | Error::DeadlineExceeded(_)
        | Error::Settings(_)
        | Error::Migration(_) => true,
    }
}

/// A failure before the claim, or of the COMMIT.
impl From<pg::Error> for GroupError {
    fn from(error: pg::Error) -> Self {
        Self { transfers: Vec::new(), cause: AppendError::Database(error) }
    }
}

impl pg::TxError for GroupError {
    fn database(&self) -> Option<&pg::Error> {
        self.cause.database()
    }
}
