//! Why an attempt failed, and which reaction follows.

use outbox::AppendError;
use thiserror::Error;

use crate::store::settlements::Attempt;

/// A transaction of an attempt failed and changed nothing.
#[derive(Debug, Error)]
#[error("a transaction of the settlement failed")]
pub(super) struct AttemptError {
    /// The attempt; `None` if the transaction failed before the claim or at its COMMIT, or did not belong to one.
    pub(super) attempt: Option<Attempt>,
    #[source]
    pub(super) cause: AppendError,
}

/// Returns whether no transfer is the cause. Else a transfer is, or a lock that it needs: an immediate retry would fail in the same way.
pub(super) fn is_outage(error: &AppendError) -> bool {
    use pg::Error;
    let error = match error {
        AppendError::Encode(events::EncodeError::NotRegistered(_)) => return true,
        AppendError::Encode(events::EncodeError::Mismatch(..)) => return false,
        AppendError::Database(error) => error,
    };
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

/// Returns whether other transactions had a lock for too long.
pub(super) fn is_lock_timeout(error: &AppendError) -> bool {
    matches!(error, AppendError::Database(pg::Error::Locked(_)))
}

impl From<pg::Error> for AttemptError {
    fn from(error: pg::Error) -> Self {
        Self { attempt: None, cause: AppendError::Database(error) }
    }
}

impl pg::TxError for AttemptError {
    fn database(&self) -> Option<&pg::Error> {
        self.cause.database()
    }
}
