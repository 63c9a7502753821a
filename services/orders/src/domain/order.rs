//! The order and its state machine: each state is a type, and each transition is a method of the state that it leaves.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use money::Money;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::{EmailAddress, StateName};

pub(crate) const MAX_LINES: usize = 50;
pub(crate) const MIN_QUANTITY: i32 = 1;
pub(crate) const MAX_QUANTITY: i32 = 1_000;

const MAX_SKU_LEN: usize = 40;

/// A stock keeping unit: upper-case letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Sku(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidSku {
    #[error("must have 1 to {MAX_SKU_LEN} characters")]
    Length,
    #[error("must contain only upper-case letters A-Z, digits and hyphens")]
    Character,
    #[error("must not start with a hyphen")]
    Hyphen,
}

impl FromStr for Sku {
    type Err = InvalidSku;

    fn from_str(text: &str) -> Result<Self, InvalidSku> {
        let is_good = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.chars().count() > MAX_SKU_LEN {
            Err(InvalidSku::Length)
        } else if !text.bytes().all(is_good) {
            Err(InvalidSku::Character)
        } else if text.starts_with('-') {
            Err(InvalidSku::Hyphen)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Sku {
    type Error = InvalidSku;

    fn try_from(text: String) -> Result<Self, InvalidSku> {
        text.parse()
    }
}

impl Sku {
    /// Wraps a stock keeping unit that was checked before it was stored.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A line, with name and price at the time of placing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sku: Sku,
    pub(crate) name: String,
    pub(crate) quantity: i32,
    pub(crate) unit_price: Money,
}

impl Line {
    /// Price of all pieces; `None` if it is too large.
    pub(crate) fn total(&self) -> Option<Money> {
        self.unit_price.checked_mul(self.quantity.into())
    }
}

/// The part of an order that never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
    pub(crate) customer_email: EmailAddress,
    pub(crate) lines: Vec<Line>,
    /// Sum of the lines. All of them have this currency.
    pub(crate) total: Money,
    pub(crate) placed_at: DateTime<Utc>,
}

/// An order in state `S`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order<S> {
    pub(crate) details: Details,
    pub(crate) version: i32,
    pub(crate) state: S,
}

/// The order waits for its stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending;

/// The order has its outcome. Final, until payment and shipment are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Final {
    pub(crate) at: DateTime<Utc>,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The stock of the order is reserved.
    Confirmed,
    /// The order cannot be fulfilled. The reason is a text for the customer.
    Rejected { reason: String },
}

impl Outcome {
    pub(crate) fn state(&self) -> StateName {
        match self {
            Self::Confirmed => StateName::Confirmed,
            Self::Rejected { .. } => StateName::Rejected,
        }
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Confirmed => None,
            Self::Rejected { reason } => Some(reason),
        }
    }
}

#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum PlaceError {
    #[error("an order must have 1 to {MAX_LINES} lines")]
    LineCount,
    #[error("all products of an order must have the same currency")]
    MixedCurrencies,
    #[error("the total of the order is too large")]
    TotalTooLarge,
}

impl Order<Pending> {
    pub(crate) fn place(
        tenant: &str,
        customer_email: EmailAddress,
        lines: Vec<Line>,
        now: DateTime<Utc>,
    ) -> Result<Self, PlaceError> {
        let first = lines.first().filter(|_| lines.len() <= MAX_LINES).ok_or(PlaceError::LineCount)?;
        let currency = first.unit_price.currency();
        if lines.iter().any(|line| line.unit_price.currency() != currency) {
            return Err(PlaceError::MixedCurrencies);
        }
        let total = lines
            .iter()
            .try_fold(Money::new(0, currency), |total, line| total.checked_add(line.total()?))
            .ok_or(PlaceError::TotalTooLarge)?;
        let details = Details {
            id: Uuid::now_v7(),
            tenant: tenant.to_owned(),
            customer_email,
            lines,
            total,
            placed_at: now,
        };
        Ok(Self { details, version: 1, state: Pending })
    }

    pub(crate) fn finish(self, outcome: Outcome, at: DateTime<Utc>) -> Order<Final> {
        Order { details: self.details, version: self.version + 1, state: Final { at, outcome } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(quantity: i32, unit_price_minor: i64, currency: &str) -> Line {
        let unit_price = Money::new(unit_price_minor, currency.parse().unwrap());
        Line { sku: "TEA-1".parse().unwrap(), name: "Tea".to_owned(), quantity, unit_price }
    }

    fn place(lines: Vec<Line>) -> Result<Order<Pending>, PlaceError> {
        let email = "a@b.example".parse().unwrap();
        Order::place("acme", email, lines, Utc::now())
    }

    #[test]
    fn the_total_is_the_sum_of_the_lines() {
        let order = place(vec![line(2, 499, "EUR"), line(1, 1_000, "EUR")]).unwrap();
        assert_eq!(order.details.total.minor(), 1_998);
        assert_eq!(order.version, 1);
    }

    #[test]
    fn an_order_with_invalid_lines_is_refused() {
        assert_eq!(place(vec![]).unwrap_err(), PlaceError::LineCount);
        assert_eq!(place(vec![line(1, 1, "EUR"); MAX_LINES + 1]).unwrap_err(), PlaceError::LineCount);
        assert_eq!(
            place(vec![line(1, 1, "EUR"), line(1, 1, "CHF")]).unwrap_err(),
            PlaceError::MixedCurrencies
        );
        assert_eq!(place(vec![line(1_000, i64::MAX, "EUR")]).unwrap_err(), PlaceError::TotalTooLarge);
    }

    #[test]
    fn every_change_of_state_increments_the_version() {
        let order = place(vec![line(1, 1, "EUR")]).unwrap();
        assert_eq!(order.clone().finish(Outcome::Confirmed, Utc::now()).version, 2);
        let rejected = Outcome::Rejected { reason: "sold out".to_owned() };
        assert_eq!(order.finish(rejected, Utc::now()).version, 2);
    }

    #[test]
    fn a_malformed_sku_is_refused_with_its_reason() {
        assert!("TEA-EARL-GREY".parse::<Sku>().is_ok());
        for (bad, reason) in [
            ("", InvalidSku::Length),
            (&"T".repeat(41), InvalidSku::Length),
            ("tea", InvalidSku::Character),
            ("TEA GREY", InvalidSku::Character),
            ("TEA_1", InvalidSku::Character),
            ("TÉA", InvalidSku::Character),
            ("-TEA", InvalidSku::Hyphen),
        ] {
            assert_eq!(bad.parse::<Sku>(), Err(reason), "{bad:?}");
        }
    }
}
