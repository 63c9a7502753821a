//! The accounts of transfers, and what transfers do to them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Account, Decision, FailureReason, Instructed, Instruction, MAX_MINOR, Outcome, Pending, Settled,
    Transfer, Unfit, account::Change,
};

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

/// A pending transfer, when its accounts have been checked again.
#[derive(Debug)]
pub(crate) enum Checked {
    /// The bank can be instructed.
    Fit(Transfer<Instructed>),
    /// An account does not take part any more, so the transfer has failed. The bank does not know it.
    Unfit(Transfer<Settled>),
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
        self.change(instruction.source, Change { held: amount, ..Change::default() }, at);
        Ok(Transfer::accept(tenant, instruction, at))
    }

    /// Prepares a transfer for the bank: reserves room for it at the destination, so that it can be posted when the bank has settled it. It fails if an
    /// account does not take part any more.
    ///
    /// # Errors
    /// An account of the transfer is not in these books.
    pub(crate) fn instruct(
        &mut self,
        transfer: Transfer<Pending>,
        now: DateTime<Utc>,
    ) -> Result<Checked, Refusal> {
        let Instruction { source: from, destination: to, amount, .. } = transfer.details.instruction;
        let (source, destination) = self.sides(&transfer.details.instruction)?;
        let at = source.next_change(now).max(destination.next_change(now));
        let amount = amount.minor();
        let fit = source
            .require_open()
            .and_then(|()| destination.require_open())
            .and_then(|()| destination.require_room(amount));
        if let Err(unfit) = fit {
            self.change(from, Change { held: -amount, ..Change::default() }, at);
            return Ok(Checked::Unfit(transfer.settle(Outcome::Failed(unfit.into()), at)));
        }
        self.change(to, Change { incoming: amount, ..Change::default() }, at);
        Ok(Checked::Fit(transfer.instruct()))
    }

    /// Does what the bank has decided, also if an account is frozen by now: the money has moved, or it has not.
    ///
    /// # Errors
    /// An account of the transfer is not in these books.
    pub(crate) fn settle(
        &mut self,
        transfer: Transfer<Instructed>,
        decision: Decision,
        now: DateTime<Utc>,
    ) -> Result<Transfer<Settled>, Refusal> {
        let Instruction { source: from, destination: to, amount, .. } = transfer.details.instruction;
        let (source, destination) = self.sides(&transfer.details.instruction)?;
        let at = source.next_change(now).max(destination.next_change(now));
        let amount = amount.minor();
        let (outcome, moved) = match decision {
            Decision::Settled => (Outcome::Succeeded, amount),
            Decision::Refused => (Outcome::Failed(FailureReason::RefusedByBank), 0),
        };
        self.change(from, Change { posted: -moved, held: -amount, incoming: 0 }, at);
        self.change(to, Change { posted: moved, held: 0, incoming: -amount }, at);
        Ok(transfer.settle(outcome, at))
    }

    fn sides(&self, instruction: &Instruction) -> Result<(&Account, &Account), Refusal> {
        let find = |id, side| self.accounts.get(id).ok_or(Refusal::Unknown(side));
        Ok((find(&instruction.source, Side::Source)?, find(&instruction.destination, Side::Destination)?))
    }

    fn change(&mut self, id: Uuid, change: Change, at: DateTime<Utc>) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.change_balance(change, at);
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

    /// A pending transfer of 500, with its accounts.
    fn pending() -> (Transfer<Pending>, Account, Account) {
        let (source, destination) = (account(700), account(0));
        let wanted = instruction(&source, &destination, 500);
        let transfer =
            Books::new([source.clone(), destination.clone()]).accept("acme", wanted, Utc::now()).unwrap();
        (transfer, Account { held: 500, ..source }, destination)
    }

    /// The balance of each account: posted, held and incoming.
    fn balances(books: &Books, accounts: [&Account; 2]) -> [(i64, i64, i64); 2] {
        accounts.map(|account| {
            let Account { posted, held, incoming, .. } = books.accounts[&account.id];
            (posted, held, incoming)
        })
    }

    #[test]
    fn a_transfer_whose_account_does_not_take_part_any_more_fails_before_the_bank_knows_it() {
        type Edit = fn(&mut Account, &mut Account);
        let cases: [(Edit, FailureReason); 5] = [
            (|source, _| source.state = AccountState::Frozen, FailureReason::AccountFrozen),
            (|_, to| to.state = AccountState::Frozen, FailureReason::AccountFrozen),
            (|_, to| to.state = AccountState::Closed, FailureReason::AccountClosed),
            (|_, to| to.posted = MAX_MINOR - 499, FailureReason::BalanceLimit),
            (|_, to| to.incoming = MAX_MINOR - 499, FailureReason::BalanceLimit),
        ];
        for (edit, reason) in cases {
            let (transfer, mut source, mut destination) = pending();
            edit(&mut source, &mut destination);
            let mut books = Books::new([source.clone(), destination.clone()]);
            let Checked::Unfit(failed) = books.instruct(transfer, Utc::now()).unwrap() else {
                panic!("{reason:?}")
            };
            assert_eq!(failed.state.outcome, Outcome::Failed(reason));
            let untouched = (destination.posted, 0, destination.incoming);
            assert_eq!(balances(&books, [&source, &destination]), [(700, 0, 0), untouched], "{reason:?}");
        }
    }

    #[test]
    fn the_decision_of_the_bank_holds_also_for_accounts_that_were_frozen_meanwhile() {
        let refused = Outcome::Failed(FailureReason::RefusedByBank);
        for (decision, outcome, settled) in [
            (Decision::Settled, Outcome::Succeeded, [(200, 0, 0), (500, 0, 0)]),
            (Decision::Refused, refused, [(700, 0, 0), (0, 0, 0)]),
        ] {
            let (transfer, source, destination) = pending();
            let mut books = Books::new([source.clone(), destination.clone()]);
            let Checked::Fit(transfer) = books.instruct(transfer, Utc::now()).unwrap() else { panic!() };
            assert_eq!(balances(&books, [&source, &destination]), [(700, 500, 0), (0, 0, 500)]);
            for account in books.accounts.values_mut() {
                account.state = AccountState::Frozen;
            }

            let transfer = books.settle(transfer, decision, Utc::now()).unwrap();

            assert_eq!(transfer.state.outcome, outcome);
            assert_eq!(balances(&books, [&source, &destination]), settled);
            let total: i64 = transfer.postings().iter().map(|posting| posting.amount.minor()).sum();
            assert_eq!(total, 0);
        }
    }

    #[test]
    fn transfers_of_one_account_use_what_the_earlier_ones_left() {
        let (source, destination) = (account(500), account(0));
        let mut books = Books::new([source.clone(), destination.clone()]);
        let wanted = || instruction(&source, &destination, 300);
        let first = books.accept("acme", wanted(), Utc::now()).unwrap();
        assert_eq!(books.accept("acme", wanted(), Utc::now()).unwrap_err(), Refusal::InsufficientFunds);
        let Checked::Fit(first) = books.instruct(first, Utc::now()).unwrap() else { panic!() };
        let settled = books.settle(first, Decision::Settled, Utc::now()).unwrap();
        assert!(settled.state.at > settled.details.created_at);
    }
}
