//! Events of the aggregate "transfer", on the topic `payments.events`.

use chrono::{DateTime, Utc, serde::ts_microseconds};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event as _, EventType, event::events};

/// The data of a transfer that each of its events contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferData {
    /// The transfer; also the message key.
    #[serde(with = "uuid::serde::hyphenated")]
    pub transfer_id: Uuid,
    /// Whose transfer it is.
    pub tenant: String,
    /// The account that the amount leaves.
    #[serde(with = "uuid::serde::hyphenated")]
    pub source: Uuid,
    /// The account that gets the amount.
    #[serde(with = "uuid::serde::hyphenated")]
    pub destination: Uuid,
    /// At least 1, in the currency's minor unit.
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// What the transfer is for, in the words of the client. Can be personal data: never logged.
    pub reference: String,
}

/// The amount of a transfer is posted to both accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferSucceeded {
    /// What was transferred.
    #[serde(flatten)]
    pub transfer: TransferData,
    /// When it was posted.
    #[serde(with = "ts_microseconds")]
    pub succeeded_at: DateTime<Utc>,
}

/// An accepted transfer has moved no money. Final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferFailed {
    /// What was not transferred.
    #[serde(flatten)]
    pub transfer: TransferData,
    /// Why: `account_frozen`, `account_closed` or `balance_limit`; more can follow.
    pub reason: String,
    /// When it failed.
    #[serde(with = "ts_microseconds")]
    pub failed_at: DateTime<Utc>,
}

/// The reversal of a transfer is posted. Final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferReversed {
    /// What was taken back.
    #[serde(flatten)]
    pub transfer: TransferData,
    /// The transfer in the other direction, which has a [`TransferSucceeded`] of its own.
    #[serde(with = "uuid::serde::hyphenated")]
    pub reversal_id: Uuid,
    /// When the reversal was posted.
    #[serde(with = "ts_microseconds")]
    pub reversed_at: DateTime<Utc>,
}

events! {
    "payments";
    TransferSucceeded = "TransferSucceeded.avsc";
    TransferFailed = "TransferFailed.avsc";
    TransferReversed = "TransferReversed.avsc";
}

/// Every type of event on the topic.
pub fn event_types() -> [&'static EventType; 3] {
    [TransferSucceeded::event_type(), TransferFailed::event_type(), TransferReversed::event_type()]
}
