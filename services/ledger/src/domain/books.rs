//! The accounts of transfers, and what transfers do to them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Account, FailureReason, Instruction, MAX_MINOR, Outcome, Pending, Settled, Transfer, Unfit};

/// Accounts that one transaction has locked. It decides about transfers one after the other; each one sees the balances that the earlier ones left.
#[derive(Debug, Default)]
pub(crate) struct Books {
    accounts: BTreeMap<Uuid, Account>,
    changed: BTreeSet<Uuid>,
}

/// A side of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// Why a transfer is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such account.
    Unknown(Side),
    /// The account has another currency than the amount.
    OtherCurrency(Side),
    Unfit(Side, Unfit),
    /// The available balance of the source is too low.
    InsufficientFunds,
}

impl Books {
    pub(crate) fn new(accounts: impl IntoIterator<Item = Account>) -> Self {
        let accounts = accounts.into_iter().map(|account| (account.id, account)).collect();
        Self { accounts, changed: BTreeSet::new() }
    }

    /// The accounts that have changed.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &Account> {
        self.changed.iter().filter_map(|id| self.accounts.get(id))
    }

    /// Accepts a transfer: its amount is held on the source.
    ///
    /// # Errors
    /// The transfer is refused, and nothing has changed.
    pub(crate) fn accept(
        &mut self,
        tenant: &str,
        instruction: Instruction,
        now: DateTime<Utc>,
    ) -> Result<Transfer<Pending>, Refusal> {
        let (source, destination) = self.sides(&instruction)?;
        let amount = instruction.amount.minor();
        for (side, account) in [(Side::Source, source), (Side::Destination, destination)] {
            if account.facts.currency != instruction.amount.currency() {
                return Err(Refusal::OtherCurrency(side));
            }
            account.require_open().map_err(|unfit| Refusal::Unfit(side, unfit))?;
        }
        destination.require_room(amount).map_err(|unfit| Refusal::Unfit(Side::Destination, unfit))?;
        let left = source.available() - amount;
        if left < 0 && !source.facts.may_overdraw {
            return Err(Refusal::InsufficientFunds);
        }
        if left < -MAX_MINOR {
            return Err(Refusal::Unfit(Side::Source, Unfit::BalanceLimit));
        }
        let at = source.next_change(now);
        self.change(instruction.source, 0, amount, at);
        Ok(Transfer::accept(tenant, instruction, at))
    }

    /// Settles a transfer: releases its hold, and moves the amount unless an account does not take part any more.
    ///
    /// # Errors
    /// An account of the transfer is not in these books.
    pub(crate) fn settle(
        &mut self,
        transfer: Transfer<Pending>,
        now: DateTime<Utc>,
    ) -> Result<Transfer<Settled>, Refusal> {
        let instruction = &transfer.details.instruction;
        let (source, destination) = self.sides(instruction)?;
        let at = source.next_change(now).max(destination.next_change(now));
        let amount = instruction.amount.minor();
        let fit = source
            .require_open()
            .and_then(|()| destination.require_open())
            .and_then(|()| destination.require_room(amount));
        let outcome = match fit {
            Ok(()) => Outcome::Succeeded,
            Err(unfit) => Outcome::Failed(unfit.into()),
        };
        let moved = if outcome == Outcome::Succeeded { amount } else { 0 };
        let (source, destination) = (instruction.source, instruction.destination);
        self.change(source, -moved, -amount, at);
        if moved > 0 {
            self.change(destination, moved, 0, at);
        }
        Ok(transfer.settle(outcome, at))
    }

    fn sides(&self, instruction: &Instruction) -> Result<(&Account, &Account), Refusal> {
        let find = |id, side| self.accounts.get(id).ok_or(Refusal::Unknown(side));
        Ok((find(&instruction.source, Side::Source)?, find(&instruction.destination, Side::Destination)?))
    }

    fn change(&mut self, id: Uuid, posted: i64, held: i64, at: DateTime<Utc>) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.change_balance(posted, held, at);
            self.changed.insert(id);
        }
    }
}

impl From<Unfit> for FailureReason {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Frozen => Self::AccountFrozen,
            Unfit::Closed => Self::AccountClosed,
            Unfit::BalanceLimit => Self::BalanceLimit,
        }
    }
}

#[cfg(test)]
mod tests {
    use money::Money;

    use super::*;
    use crate::domain::{AccountKind, AccountState, NewAccount};

    fn account(posted: i64) -> Account {
        let facts = NewAccount {
            name: None,
            kind: AccountKind::Customer,
            currency: "EUR".parse().unwrap(),
            may_overdraw: false,
        };
        Account { posted, ..Account::open("acme", facts, Utc::now()) }
    }

    fn overdrawable(posted: i64) -> Account {
        let account = account(posted);
        Account { facts: NewAccount { may_overdraw: true, ..account.facts.clone() }, ..account }
    }

    fn instruction(source: &Account, destination: &Account, amount: i64) -> Instruction {
        Instruction {
            source: source.id,
            destination: destination.id,
            amount: Money::new(amount, "EUR".parse().unwrap()),
            reference: "Invoice 7".parse().unwrap(),
            reverses: None,
        }
    }

    /// Accepts one transfer, and returns the balance of the source.
    fn accept(source: Account, destination: Account, amount: i64) -> Result<(i64, i64), Refusal> {
        let instruction = instruction(&source, &destination, amount);
        let mut books = Books::new([source, destination]);
        books.accept("acme", instruction, Utc::now())?;
        let source = books.changed().next().unwrap();
        assert_eq!((books.changed().count(), source.version), (1, 2));
        Ok((source.posted, source.held))
    }

    #[test]
    fn an_accepted_amount_is_held_and_not_posted() {
        assert_eq!(accept(account(500), account(0), 500), Ok((500, 500)));
        assert_eq!(accept(overdrawable(0), account(0), MAX_MINOR), Ok((0, MAX_MINOR)));
    }

    #[test]
    fn a_transfer_is_refused_with_its_reason() {
        use Refusal::{InsufficientFunds, OtherCurrency};
        use Side::{Destination, Source};
        let unfit = Refusal::Unfit;
        let frozen = || Account { state: AccountState::Frozen, ..account(500) };
        let closed = || Account { state: AccountState::Closed, ..account(0) };
        let francs = || {
            let account = account(500);
            Account {
                facts: NewAccount { currency: "CHF".parse().unwrap(), ..account.facts.clone() },
                ..account
            }
        };
        for (source, destination, amount, reason) in [
            (account(499), account(0), 500, InsufficientFunds),
            (Account { held: 1, ..account(500) }, account(0), 500, InsufficientFunds),
            (francs(), account(0), 500, OtherCurrency(Source)),
            (account(500), francs(), 500, OtherCurrency(Destination)),
            (frozen(), account(0), 500, unfit(Source, Unfit::Frozen)),
            (account(500), frozen(), 500, unfit(Destination, Unfit::Frozen)),
            (closed(), account(0), 500, unfit(Source, Unfit::Closed)),
            (account(500), closed(), 500, unfit(Destination, Unfit::Closed)),
            (account(500), account(MAX_MINOR - 499), 500, unfit(Destination, Unfit::BalanceLimit)),
            (overdrawable(-1), account(0), MAX_MINOR, unfit(Source, Unfit::BalanceLimit)),
        ] {
            let shown = format!("{source:?} {destination:?}");
            assert_eq!(accept(source, destination, amount), Err(reason), "{shown}");
        }
    }

    #[test]
    fn an_unknown_account_is_refused() {
        let (known, unknown) = (account(500), account(500));
        let mut books = Books::new([known.clone()]);
        for (instruction, side) in [
            (instruction(&unknown, &known, 1), Side::Source),
            (instruction(&known, &unknown, 1), Side::Destination),
        ] {
            let refused = books.accept("acme", instruction, Utc::now()).unwrap_err();
            assert_eq!(refused, Refusal::Unknown(side));
        }
    }

    /// Accepts a transfer of 500, changes its accounts, and settles it: outcome, and posted and held of both.
    fn settle(change: impl Fn(&mut Account, &mut Account)) -> (Outcome, [(i64, i64); 2]) {
        let (mut source, mut destination) = (account(700), account(0));
        let mut books = Books::new([source.clone(), destination.clone()]);
        let instruction = instruction(&source, &destination, 500);
        let transfer = books.accept("acme", instruction, Utc::now()).unwrap();
        source.held = 500;
        change(&mut source, &mut destination);
        let mut books = Books::new([source.clone(), destination.clone()]);
        let settled = books.settle(transfer, Utc::now()).unwrap();
        let total: i64 = settled.postings().iter().map(|posting| posting.amount.minor()).sum();
        assert_eq!(total, 0);
        let balance = |account: &Account| {
            let account = &books.accounts[&account.id];
            (account.posted, account.held)
        };
        (settled.state.outcome, [balance(&source), balance(&destination)])
    }

    #[test]
    fn a_settled_transfer_moves_its_amount_or_releases_it() {
        assert_eq!(settle(|_, _| ()), (Outcome::Succeeded, [(200, 0), (500, 0)]));
        let frozen = Outcome::Failed(FailureReason::AccountFrozen);
        assert_eq!(settle(|source, _| source.state = AccountState::Frozen), (frozen, [(700, 0), (0, 0)]));
        assert_eq!(settle(|_, to| to.state = AccountState::Frozen), (frozen, [(700, 0), (0, 0)]));
        let closed = Outcome::Failed(FailureReason::AccountClosed);
        assert_eq!(settle(|_, to| to.state = AccountState::Closed), (closed, [(700, 0), (0, 0)]));
        let full = Outcome::Failed(FailureReason::BalanceLimit);
        assert_eq!(settle(|_, to| to.posted = MAX_MINOR), (full, [(700, 0), (MAX_MINOR, 0)]));
    }

    #[test]
    fn transfers_of_one_account_use_what_the_earlier_ones_left() {
        let (source, destination) = (account(500), account(0));
        let mut books = Books::new([source.clone(), destination.clone()]);
        let wanted = || instruction(&source, &destination, 300);
        let first = books.accept("acme", wanted(), Utc::now()).unwrap();
        assert_eq!(books.accept("acme", wanted(), Utc::now()).unwrap_err(), Refusal::InsufficientFunds);
        let settled = books.settle(first, Utc::now()).unwrap();
        assert!(settled.state.at > settled.details.created_at);
    }
}
