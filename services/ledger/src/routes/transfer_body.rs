//! Transfers and amounts as JSON.

use api_error::Node;
use chrono::{DateTime, SecondsFormat, Utc};
use money::{Currency, Money};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{FailureReason as Reason, Instruction, MAX_MINOR, Posting, Snapshot};

/// A transfer. Times are RFC 3339 in UTC.
#[derive(Serialize, ToSchema)]
#[schema(as = Transfer)]
pub(super) struct TransferBody {
    #[schema(format = Uuid)]
    id: String,
    #[schema(value_type = TransferState)]
    state: &'static str,
    /// Why the transfer has failed; `null` unless it is `failed`.
    #[schema(value_type = Option<FailureReason>, required = true)]
    failure_reason: Option<&'static str>,
    /// Id of the account that the amount leaves.
    #[schema(format = Uuid)]
    source: String,
    /// Id of the account that gets the amount.
    #[schema(format = Uuid)]
    destination: String,
    amount: MoneyBody,
    reference: String,
    /// Id of the transfer that this one takes back; `null` unless it is a reversal.
    #[schema(format = Uuid, required = true)]
    reverses: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// Time of the last change of the state.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// State of a transfer. `failed` and `reversed` are final.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the texts of `domain::TransferState`")]
pub(super) enum TransferState {
    Pending,
    Succeeded,
    Failed,
    Reversed,
}

/// Why an accepted transfer has failed. No money has moved.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the texts of `domain::FailureReason`")]
pub(super) enum FailureReason {
    AccountFrozen,
    AccountClosed,
    BalanceLimit,
    RefusedByBank,
}

/// An amount of money.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Money)]
pub(super) struct MoneyBody {
    /// Amount in the minor unit of the currency (ISO 4217): 1998 EUR is 19.98 euros, 1998 JPY is 1,998 yen.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64, example = 1998)]
    value: i64,
    /// ISO 4217 code of the currency.
    #[schema(value_type = String, example = "EUR", pattern = "^[A-Z]{3}$")]
    currency: Currency,
}

impl MoneyBody {
    /// Reads an amount that can be transferred.
    pub(super) fn read(amount: Node<'_>) -> Option<Money> {
        amount.object(|amount| {
            let value = amount.required("value", |value| value.integer(1..=MAX_MINOR));
            let currency = amount.required_text("currency");
            Some(Money::new(value?, currency?))
        })
    }
}

impl From<Money> for MoneyBody {
    fn from(money: Money) -> Self {
        Self { value: money.minor(), currency: money.currency() }
    }
}

impl From<&Snapshot> for TransferBody {
    fn from(transfer: &Snapshot) -> Self {
        let details = &transfer.details;
        let Instruction { source, destination, amount, reference, reverses } = &details.instruction;
        Self {
            id: details.id.to_string(),
            state: transfer.state.as_str(),
            failure_reason: transfer.failure_reason.map(Reason::as_str),
            source: source.to_string(),
            destination: destination.to_string(),
            amount: (*amount).into(),
            reference: reference.as_str().to_owned(),
            reverses: reverses.as_ref().map(Uuid::to_string),
            created_at: rfc3339(details.created_at),
            updated_at: rfc3339(transfer.updated_at),
        }
    }
}

/// A posting: one side of a transfer that succeeded.
#[derive(Serialize, ToSchema)]
#[schema(as = Posting)]
pub(super) struct PostingBody {
    #[schema(format = Uuid)]
    id: String,
    #[schema(format = Uuid)]
    transfer_id: String,
    /// In the minor unit of the currency: positive into the account, negative out of it.
    #[schema(example = -1998)]
    amount: i64,
    /// ISO 4217 code.
    #[schema(value_type = String, example = "EUR", pattern = "^[A-Z]{3}$")]
    currency: Currency,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<&Posting> for PostingBody {
    fn from(posting: &Posting) -> Self {
        Self {
            id: posting.id.to_string(),
            transfer_id: posting.transfer_id.to_string(),
            amount: posting.amount.minor(),
            currency: posting.amount.currency(),
            created_at: rfc3339(posting.created_at),
        }
    }
}

/// Path of a transfer.
pub(super) fn location(id: Uuid) -> String {
    format!("/v1/transfers/{id}")
}

/// Always with microseconds, so that equal times are equal texts.
pub(super) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
