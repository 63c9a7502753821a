//! A link, and what becomes of an attempt to put one.

use chrono::{DateTime, Utc};

use super::{Code, Target};

/// A link as its tenant sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) code: Code,
    pub(crate) target: Target,
    /// Grows with every change of the target.
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    /// When the target last changed.
    pub(crate) updated_at: DateTime<Utc>,
}

impl Link {
    /// Names this version of the link, without quotes.
    pub(crate) fn tag(&self) -> String {
        format!("{}-{}", self.code, self.version)
    }
}

/// The outcome of a PUT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// The code was free.
    Created(Link),
    /// The link had another target.
    Updated(Link),
    /// The link was there as it should be, so nothing was written.
    Unchanged(Link),
    /// Another tenant has the code.
    Taken,
    /// The link is not as the client requires.
    ConditionsFailed,
}

impl Put {
    /// The label under which it is counted.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Updated(_) => "updated",
            Self::Unchanged(_) => "unchanged",
            Self::Taken => "taken",
            Self::ConditionsFailed => "precondition_failed",
        }
    }
}
