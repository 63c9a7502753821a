//! An order as it looks from outside: for clients and for the tracking page.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use thiserror::Error;

use super::{Details, Order, Pending};

/// The name of a state, in the API, in events' history and in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
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

    /// Reads a name; `None` when no state has it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Confirmed, Self::Rejected].into_iter().find(|state| state.as_str() == name)
    }
}

/// The text names no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be pending, confirmed or rejected")]
pub(crate) struct InvalidStateName;

impl TryFrom<String> for StateName {
    type Error = InvalidStateName;

    fn try_from(name: String) -> Result<Self, InvalidStateName> {
        Self::parse(&name).ok_or(InvalidStateName)
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
