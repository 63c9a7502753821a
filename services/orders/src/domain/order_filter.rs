//! Which orders a list is about, and what it shows of them.

use chrono::{DateTime, Utc};
use cursor::Range;
use money::Money;
use uuid::Uuid;

use super::{EmailAddress, StateName};

/// Which orders of a tenant a list is about; what is not set does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct OrderFilter {
    pub(crate) state: Option<StateName>,
    /// When the order was placed.
    pub(crate) created: Range,
    /// Exactly this address, as it stands in the order.
    pub(crate) customer: Option<EmailAddress>,
}

/// An order as a list shows it: without lines and history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) id: Uuid,
    pub(crate) customer_email: EmailAddress,
    pub(crate) state: StateName,
    pub(crate) rejection_reason: Option<String>,
    pub(crate) total: Money,
    pub(crate) placed_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}
