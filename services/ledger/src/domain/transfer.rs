//! The transfer and its state machine: a pending transfer is a type, and its end consumes it.

use chrono::{DateTime, Utc};
use cursor::TimeRange;
use money::Money;
use strum::{EnumString, IntoStaticStr};
use thiserror::Error;
use uuid::Uuid;

use super::Reference;

/// What a client wants to transfer.
#[derive(Clone, Debug)]
pub(crate) struct Instruction {
    pub(crate) source: Uuid,
    pub(crate) destination: Uuid,
    /// At least 1 and at most [`MAX_MINOR`](super::MAX_MINOR).
    pub(crate) amount: Money,
    pub(crate) reference: Reference,
    /// The transfer that this one takes back.
    pub(crate) reverses: Option<Uuid>,
}

/// The part of a transfer that never changes.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
    pub(crate) instruction: Instruction,
    pub(crate) created_at: DateTime<Utc>,
}

/// A transfer in state `S`.
#[derive(Clone, Debug)]
pub(crate) struct Transfer<S> {
    pub(crate) details: Details,
    pub(crate) version: i32,
    pub(crate) state: S,
}

/// The amount is held on the source.
#[derive(Clone, Debug)]
pub(crate) struct Pending;

/// The amount is held on the source, and the destination has room for it. From here on the bank alone decides: it may have moved the money.
#[derive(Clone, Debug)]
pub(crate) struct Instructed;

/// What the bank has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The money has moved.
    Settled,
    /// No money moves.
    Refused,
}

/// The hold is released.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) at: DateTime<Utc>,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The amount is posted.
    Succeeded,
    /// No money has moved.
    Failed(FailureReason),
}

/// Why an accepted transfer has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum FailureReason {
    /// The source or the destination was frozen meanwhile.
    AccountFrozen,
    /// The source or the destination was closed meanwhile.
    AccountClosed,
    /// The balance of the destination would have exceeded [`MAX_MINOR`](super::MAX_MINOR).
    BalanceLimit,
    /// The bank has refused it.
    RefusedByBank,
}

impl FailureReason {
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One side of a transfer that succeeded. The postings of a transfer sum to zero.
#[derive(Clone, Debug)]
pub(crate) struct Posting {
    pub(crate) id: Uuid,
    pub(crate) transfer_id: Uuid,
    pub(crate) account_id: Uuid,
    /// Positive into the account, negative out of it.
    pub(crate) amount: Money,
    pub(crate) created_at: DateTime<Utc>,
}

impl Transfer<Pending> {
    /// The amount is held on the source.
    pub(super) fn accept(tenant: &str, instruction: Instruction, at: DateTime<Utc>) -> Self {
        let details = Details { id: Uuid::now_v7(), tenant: tenant.to_owned(), instruction, created_at: at };
        Self { details, version: 1, state: Pending }
    }

    /// The bank may learn of the transfer.
    pub(super) fn instruct(self) -> Transfer<Instructed> {
        Transfer { details: self.details, version: self.version, state: Instructed }
    }
}

impl<S> Transfer<S> {
    /// Its source and its destination.
    pub(crate) fn accounts(&self) -> [Uuid; 2] {
        let Instruction { source, destination, .. } = self.details.instruction;
        [source, destination]
    }

    /// The hold is released, and the amount posted if the transfer succeeded.
    pub(super) fn settle(self, outcome: Outcome, at: DateTime<Utc>) -> Transfer<Settled> {
        Transfer { details: self.details, version: self.version + 1, state: Settled { at, outcome } }
    }
}

impl Transfer<Settled> {
    /// The postings of a transfer that succeeded; none of one that failed.
    pub(crate) fn postings(&self) -> Vec<Posting> {
        if self.state.outcome != Outcome::Succeeded {
            return Vec::new();
        }
        let Instruction { source, destination, amount, .. } = self.details.instruction;
        let posting = |account_id, minor| Posting {
            id: Uuid::now_v7(),
            transfer_id: self.details.id,
            account_id,
            amount: Money::new(minor, amount.currency()),
            created_at: self.state.at,
        };
        vec![posting(source, -amount.minor()), posting(destination, amount.minor())]
    }
}

/// The name of a state in the API and in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase", parse_err_ty = InvalidTransferState, parse_err_fn = invalid_transfer_state)]
pub(crate) enum TransferState {
    Pending,
    Succeeded,
    Failed,
    /// It succeeded, and so did its reversal.
    Reversed,
}

impl TransferState {
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be pending, succeeded, failed or reversed")]
pub(crate) struct InvalidTransferState;

fn invalid_transfer_state(_: &str) -> InvalidTransferState {
    InvalidTransferState
}

impl Outcome {
    pub(crate) fn state(self) -> TransferState {
        match self {
            Self::Succeeded => TransferState::Succeeded,
            Self::Failed(_) => TransferState::Failed,
        }
    }

    pub(crate) fn reason(self) -> Option<FailureReason> {
        match self {
            Self::Succeeded => None,
            Self::Failed(reason) => Some(reason),
        }
    }
}

/// A transfer as clients read it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) details: Details,
    /// Increases with every change.
    pub(crate) version: i32,
    pub(crate) state: TransferState,
    pub(crate) failure_reason: Option<FailureReason>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// Why a transfer cannot be reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReversalError {
    /// It is pending, it has failed, or it is a reversal.
    NotReversible,
    /// Its reversal is pending or has succeeded.
    AlreadyReversed,
}

impl Snapshot {
    /// Returns the instruction that takes the transfer back. `has_reversal`: a reversal of it is pending or has succeeded.
    pub(crate) fn reversal(&self, has_reversal: bool) -> Result<Instruction, ReversalError> {
        let Instruction { source, destination, amount, ref reference, reverses } = self.details.instruction;
        match self.state {
            TransferState::Reversed => Err(ReversalError::AlreadyReversed),
            TransferState::Succeeded if has_reversal => Err(ReversalError::AlreadyReversed),
            TransferState::Succeeded if reverses.is_none() => Ok(Instruction {
                source: destination,
                destination: source,
                amount,
                reference: reference.clone(),
                reverses: Some(self.details.id),
            }),
            TransferState::Pending | TransferState::Failed | TransferState::Succeeded => {
                Err(ReversalError::NotReversible)
            }
        }
    }

    /// Entity tag: it differs after every change.
    pub(crate) fn tag(&self) -> String {
        format!("{}-{}", self.details.id, self.version)
    }
}

impl From<&Transfer<Pending>> for Snapshot {
    fn from(transfer: &Transfer<Pending>) -> Self {
        Self {
            details: transfer.details.clone(),
            version: transfer.version,
            state: TransferState::Pending,
            failure_reason: None,
            updated_at: transfer.details.created_at,
        }
    }
}

/// The filter of a list. A field that is not set matches every transfer.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransferFilter {
    /// From this account or to it.
    pub(crate) account: Option<Uuid>,
    pub(crate) state: Option<TransferState>,
    pub(crate) created: TimeRange,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(state: TransferState, reverses: Option<Uuid>) -> Snapshot {
        let instruction = Instruction {
            source: Uuid::now_v7(),
            destination: Uuid::now_v7(),
            amount: Money::new(500, "EUR".parse().unwrap()),
            reference: "Invoice 7".parse().unwrap(),
            reverses,
        };
        let pending = Transfer::accept("acme", instruction, Utc::now());
        Snapshot { state, ..Snapshot::from(&pending) }
    }

    #[test]
    fn only_a_succeeded_transfer_is_reversed_and_only_once() {
        use ReversalError::{AlreadyReversed, NotReversible};
        use TransferState::{Failed, Pending, Reversed, Succeeded};
        for (state, is_reversal, has_reversal, expected) in [
            (Pending, false, false, Err(NotReversible)),
            (Failed, false, false, Err(NotReversible)),
            (Succeeded, false, false, Ok(())),
            (Succeeded, false, true, Err(AlreadyReversed)),
            (Succeeded, true, false, Err(NotReversible)),
            (Reversed, false, true, Err(AlreadyReversed)),
        ] {
            let transfer = snapshot(state, is_reversal.then(Uuid::now_v7));
            assert_eq!(transfer.reversal(has_reversal).map(drop), expected, "{state:?}");
        }
    }

    #[test]
    fn a_reversal_takes_the_same_amount_in_the_other_direction() {
        let original = snapshot(TransferState::Succeeded, None);
        let reversal = original.reversal(false).unwrap();
        let Instruction { source, destination, amount, .. } = original.details.instruction;
        assert_eq!((reversal.source, reversal.destination, reversal.amount), (destination, source, amount));
        assert_eq!(reversal.reverses, Some(original.details.id));
    }
}
