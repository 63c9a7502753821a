//! What a customer is to be told about an order.

use auth::Tenant;
use money::{Money, UnknownCurrency};
use uuid::Uuid;

/// The fate of an order, with all that the mail about it needs. It holds an address and a capability, so it has no
/// `Debug`.
pub(crate) struct Notice {
    /// The order.
    pub(crate) order_id: Uuid,
    /// Whose order it is.
    pub(crate) tenant: Tenant,
    /// Where the customer wants to hear about it, as it was entered.
    pub(crate) recipient: String,
    /// What became of the order.
    pub(crate) verdict: Verdict,
    /// What was ordered.
    pub(crate) lines: Vec<Line>,
    /// Sum over the lines.
    pub(crate) total: Money,
    /// Public page of the order.
    pub(crate) tracking_url: String,
}

/// What became of an order.
pub(crate) enum Verdict {
    /// Its stock is reserved.
    Confirmed,
    /// It cannot be fulfilled.
    Rejected {
        /// Why, for the customer to read.
        reason: String,
    },
}

/// One line of an order.
pub(crate) struct Line {
    /// What the product is called.
    pub(crate) name: String,
    /// Pieces.
    pub(crate) quantity: i32,
    /// Price of one piece.
    pub(crate) unit_price: Money,
    /// Price of all pieces.
    pub(crate) total: Money,
}

/// The event says something about which no sensible mail can be written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidNotice {
    /// No tenant of ours.
    #[error("the event's tenant is malformed")]
    Tenant(#[from] auth::InvalidTenant),
    /// Amounts cannot be written.
    #[error("the event's currency is not an ISO 4217 code")]
    Currency(#[from] UnknownCurrency),
    /// The price of a line is beyond all measure.
    #[error("the price of a line is out of range")]
    Amount,
}

impl Verdict {
    /// The name under which mails of this kind are stored, counted and identified.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected { .. } => "rejected",
        }
    }
}

impl Line {
    /// Makes a line; its total is worked out.
    pub(crate) fn new(name: String, quantity: i32, unit_price: Money) -> Result<Self, InvalidNotice> {
        let total = unit_price.checked_mul(quantity.into()).ok_or(InvalidNotice::Amount)?;
        Ok(Self { name, quantity, unit_price, total })
    }
}

impl Notice {
    /// The mail's identity: the same for every attempt, so that a mailbox can tell a second copy.
    pub(crate) fn message_id(&self, domain: &str) -> String {
        format!("<order-{}-{}@{domain}>", self.order_id, self.verdict.kind())
    }
}
