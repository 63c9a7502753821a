//! An order as it looks from outside: for clients and for the tracking page.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::{Details, Order, Pending};

/// The name of a state, in the API, in events' history and in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateName {
    Pending,
    Confirmed,
    Rejected,
}

impl StateName {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
        }
    }
}

/// The text names no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be pending, confirmed or rejected")]
pub(crate) struct InvalidStateName;

impl FromStr for StateName {
    type Err = InvalidStateName;

    fn from_str(name: &str) -> Result<Self, InvalidStateName> {
        let mut states = [Self::Pending, Self::Confirmed, Self::Rejected].into_iter();
        states.find(|state| state.as_str() == name).ok_or(InvalidStateName)
    }
}

/// One entry of an order's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) state: StateName,
    pub(crate) at: DateTime<Utc>,
    pub(crate) reason: Option<String>,
}

/// An order, the state it is in and how it came there. The history has at least one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) details: Details,
    /// Grows with every change.
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
