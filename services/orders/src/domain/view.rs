//! Orders as clients read them: one order, the items of a list, and the filter of a list.

use chrono::{DateTime, Utc};
use cursor::TimeRange;
use money::Money;
use strum::{EnumString, IntoStaticStr};
use thiserror::Error;
use uuid::Uuid;

use super::{Details, EmailAddress, Order, Pending};

/// The name of a state in the API, in the history and in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase", parse_err_ty = InvalidStateName, parse_err_fn = invalid_state_name)]
pub(crate) enum StateName {
    Pending,
    Confirmed,
    Rejected,
}

impl StateName {
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be pending, confirmed or rejected")]
pub(crate) struct InvalidStateName;

fn invalid_state_name(_: &str) -> InvalidStateName {
    InvalidStateName
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) state: StateName,
    pub(crate) at: DateTime<Utc>,
    pub(crate) reason: Option<String>,
}

/// An order with its state and its history. The history has at least one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) details: Details,
    /// Increases with every change.
    pub(crate) version: i32,
    pub(crate) state: StateName,
    pub(crate) rejection_reason: Option<String>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) history: Vec<Change>,
}

impl From<&Order<Pending>> for Snapshot {
    fn from(order: &Order<Pending>) -> Self {
        let placed_at = order.details.placed_at;
        Self {
            details: order.details.clone(),
            version: order.version,
            state: StateName::Pending,
            rejection_reason: None,
            updated_at: placed_at,
            history: vec![Change { state: StateName::Pending, at: placed_at, reason: None }],
        }
    }
}

/// An item of a list: an order without lines and history.
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

/// The filter of a list. A field that is not set matches every order.
#[derive(Clone, Debug, Default)]
pub(crate) struct OrderFilter {
    pub(crate) state: Option<StateName>,
    pub(crate) created: TimeRange,
    /// Exactly this address, with the same case.
    pub(crate) customer: Option<EmailAddress>,
}
