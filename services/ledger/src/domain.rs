//! Accounts, transfers and their rules. Independent of HTTP, SQL and Kafka.

mod account;
mod books;
mod text;
mod transfer;

pub(crate) use account::{
    Account, AccountKind, AccountState, ChangeError, MAX_MINOR, NewAccount, StateChange, Unfit,
};
pub(crate) use books::{Books, Checked, Refusal, Side};
pub(crate) use text::{AccountName, Reference};
pub(crate) use transfer::{
    Decision, Details, FailureReason, Instructed, Instruction, Outcome, Pending, Posting, ReversalError,
    Settled, Snapshot, Transfer, TransferFilter, TransferState,
};
