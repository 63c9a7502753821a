//! Accounts as JSON.

use money::Currency;
use serde::Serialize;
use utoipa::ToSchema;

use super::transfer_body::rfc3339;
use crate::domain::{Account, AccountName};

/// An account. Times are RFC 3339 in UTC.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct AccountBody {
    #[schema(format = Uuid)]
    id: String,
    /// For people; `null` if it has none.
    #[schema(required = true)]
    name: Option<String>,
    #[schema(value_type = AccountKind)]
    kind: &'static str,
    /// ISO 4217 code.
    #[schema(value_type = String, example = "EUR", pattern = "^[A-Z]{3}$")]
    currency: Currency,
    /// The available balance can become negative.
    may_overdraw: bool,
    #[schema(value_type = AccountState)]
    state: &'static str,
    balance: BalanceBody,
    #[schema(format = DateTime)]
    created_at: String,
    /// Time of the last change of the state or the balance.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A balance, in the minor unit of the currency of the account (ISO 4217): 1998 EUR is 19.98 euros, 1998 JPY is 1,998 yen.
#[derive(Serialize, ToSchema)]
#[schema(as = Balance)]
struct BalanceBody {
    /// Sum of all postings.
    #[schema(example = 1998)]
    posted: i64,
    /// What new transfers can use: `posted` without the pending transfers from the account.
    #[schema(example = 998)]
    available: i64,
}

/// What an account is for; no rule depends on it. `clearing` is the counterpart of money outside of the ledger.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the texts of `domain::AccountKind`")]
pub(super) enum AccountKind {
    Customer,
    Merchant,
    Clearing,
}

/// Whether an account sends and receives money. `closed` is final.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the texts of `domain::AccountState`")]
pub(super) enum AccountState {
    Open,
    Frozen,
    Closed,
}

impl From<&Account> for AccountBody {
    fn from(account: &Account) -> Self {
        let facts = &account.facts;
        Self {
            id: account.id.to_string(),
            name: facts.name.as_ref().map(AccountName::as_str).map(str::to_owned),
            kind: facts.kind.as_str(),
            currency: facts.currency,
            may_overdraw: facts.may_overdraw,
            state: account.state.as_str(),
            balance: BalanceBody { posted: account.posted, available: account.available() },
            created_at: rfc3339(account.created_at),
            updated_at: rfc3339(account.updated_at),
        }
    }
}
