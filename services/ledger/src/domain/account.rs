//! The account: its balance, and the states in which it sends and receives money.

use chrono::{DateTime, TimeDelta, Utc};
use money::Currency;
use strum::{EnumString, IntoStaticStr};
use thiserror::Error;
use uuid::Uuid;

use super::AccountName;

/// Bound of balances, positive and negative, and of amounts, in minor units: the largest whole number that every JSON implementation
/// keeps exactly (RFC 7493, section 2.2).
pub(crate) const MAX_MINOR: i64 = (1 << 53) - 1;

/// What an account is for. No rule depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase", parse_err_ty = InvalidAccountKind, parse_err_fn = invalid_account_kind)]
pub(crate) enum AccountKind {
    /// Money that the tenant owes to a customer.
    Customer,
    /// Money that the tenant owes to a seller.
    Merchant,
    /// The counterpart of money that is outside of the ledger, such as at a bank.
    Clearing,
}

impl AccountKind {
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be customer, merchant or clearing")]
pub(crate) struct InvalidAccountKind;

fn invalid_account_kind(_: &str) -> InvalidAccountKind {
    InvalidAccountKind
}

/// Whether an account takes part in transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase", parse_err_ty = InvalidAccountState, parse_err_fn = invalid_account_state)]
pub(crate) enum AccountState {
    Open,
    /// Sends and receives nothing until it is opened.
    Frozen,
    /// Final; the balance is zero.
    Closed,
}

impl AccountState {
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be open, frozen or closed")]
pub(crate) struct InvalidAccountState;

fn invalid_account_state(_: &str) -> InvalidAccountState {
    InvalidAccountState
}

/// An account to create. Apart from the name, nothing of it changes.
#[derive(Clone, Debug)]
pub(crate) struct NewAccount {
    pub(crate) name: Option<AccountName>,
    pub(crate) kind: AccountKind,
    pub(crate) currency: Currency,
    /// The available balance can become negative.
    pub(crate) may_overdraw: bool,
}

/// An account and its balance, in minor units of its currency.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
    pub(crate) facts: NewAccount,
    pub(crate) state: AccountState,
    /// Sum of the postings.
    pub(crate) posted: i64,
    /// Sum of the pending transfers from the account.
    pub(crate) held: i64,
    /// Sum of the instructed transfers to the account: room that is reserved for them.
    pub(crate) incoming: i64,
    /// Increases with every change.
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    /// Increases with every change, also if the clocks of two replicas differ.
    pub(crate) updated_at: DateTime<Utc>,
}

/// What is added to a balance; negative to take it away.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    pub(super) posted: i64,
    pub(super) held: i64,
    pub(super) incoming: i64,
}

/// Why an account cannot take part in a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Frozen,
    Closed,
    /// Its balance would exceed [`MAX_MINOR`].
    BalanceLimit,
}

/// Whether a change of state had to change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateChange {
    Changed,
    /// The account has this state already.
    Unchanged,
}

/// Why an account does not get another state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeError {
    /// It is closed, which is final.
    Closed,
    /// It cannot be closed: its balance is not zero, or a transfer from it or to it is pending.
    InUse,
}

impl Account {
    pub(crate) fn open(tenant: &str, facts: NewAccount, now: DateTime<Utc>) -> Self {
        Self {
            id: Uuid::now_v7(),
            tenant: tenant.to_owned(),
            facts,
            state: AccountState::Open,
            posted: 0,
            held: 0,
            incoming: 0,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// The balance that new transfers can use.
    pub(crate) fn available(&self) -> i64 {
        self.posted - self.held
    }

    /// Entity tag: it differs after every change.
    pub(crate) fn tag(&self) -> String {
        format!("{}-{}", self.id, self.version)
    }

    /// The earliest time of the next change: later than the last one.
    pub(super) fn next_change(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.max(self.updated_at + TimeDelta::microseconds(1))
    }

    /// Checks that the account can send or receive.
    pub(super) fn require_open(&self) -> Result<(), Unfit> {
        match self.state {
            AccountState::Open => Ok(()),
            AccountState::Frozen => Err(Unfit::Frozen),
            AccountState::Closed => Err(Unfit::Closed),
        }
    }

    /// Checks that the account can receive this amount, also when every instructed transfer to it succeeds.
    pub(super) fn require_room(&self, amount: i64) -> Result<(), Unfit> {
        if self.posted + self.incoming > MAX_MINOR - amount { Err(Unfit::BalanceLimit) } else { Ok(()) }
    }

    /// Changes the balance, which the caller has checked.
    pub(super) fn change_balance(&mut self, change: Change, at: DateTime<Utc>) {
        self.posted += change.posted;
        self.held += change.held;
        self.incoming += change.incoming;
        self.touch(at);
    }

    /// Changes the state. `has_pending`: a transfer from the account or to it is pending.
    pub(crate) fn change_state(
        &mut self,
        state: AccountState,
        has_pending: bool,
        now: DateTime<Utc>,
    ) -> Result<StateChange, ChangeError> {
        if self.state == state {
            return Ok(StateChange::Unchanged);
        }
        if self.state == AccountState::Closed {
            return Err(ChangeError::Closed);
        }
        if state == AccountState::Closed && (self.posted != 0 || self.held != 0 || has_pending) {
            return Err(ChangeError::InUse);
        }
        self.state = state;
        self.touch(self.next_change(now));
        Ok(StateChange::Changed)
    }

    fn touch(&mut self, at: DateTime<Utc>) {
        self.version += 1;
        self.updated_at = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(posted: i64) -> Account {
        let facts = NewAccount {
            name: None,
            kind: AccountKind::Customer,
            currency: "EUR".parse().unwrap(),
            may_overdraw: false,
        };
        Account { posted, ..Account::open("acme", facts, Utc::now()) }
    }

    #[test]
    fn every_transition_between_states_is_as_the_rules_say() {
        use AccountState::{Closed, Frozen, Open};
        for (from, to, result) in [
            (Open, Open, Ok(StateChange::Unchanged)),
            (Open, Frozen, Ok(StateChange::Changed)),
            (Open, Closed, Ok(StateChange::Changed)),
            (Frozen, Open, Ok(StateChange::Changed)),
            (Frozen, Frozen, Ok(StateChange::Unchanged)),
            (Frozen, Closed, Ok(StateChange::Changed)),
            (Closed, Open, Err(ChangeError::Closed)),
            (Closed, Frozen, Err(ChangeError::Closed)),
            (Closed, Closed, Ok(StateChange::Unchanged)),
        ] {
            let mut account = Account { state: from, ..account(0) };
            assert_eq!(account.change_state(to, false, Utc::now()), result, "{from:?} to {to:?}");
            let version = if result == Ok(StateChange::Changed) { 2 } else { 1 };
            assert_eq!(account.version, version, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn an_account_with_a_balance_or_a_pending_transfer_is_not_closed() {
        for (posted, has_pending) in [(1, false), (-1, false), (0, true)] {
            let closed = account(posted).change_state(AccountState::Closed, has_pending, Utc::now());
            assert_eq!(closed, Err(ChangeError::InUse), "{posted} {has_pending}");
        }
    }

    #[test]
    fn the_time_of_changes_increases_with_a_clock_that_goes_back() {
        let mut account = account(0);
        let created_at = account.created_at;
        account.change_state(AccountState::Frozen, false, created_at - TimeDelta::hours(1)).unwrap();
        assert_eq!(account.updated_at, created_at + TimeDelta::microseconds(1));
    }
}
