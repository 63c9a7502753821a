//! A link, the outcome of a PUT, and the filter of a list.

use chrono::{DateTime, Utc};
use cursor::TimeRange;
use strum::IntoStaticStr;

use super::{Code, Host, Target};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) code: Code,
    pub(crate) target: Target,
    /// Increases with every change of the target.
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    /// Time of the last change of the target.
    pub(crate) updated_at: DateTime<Utc>,
}

impl Link {
    /// Returns the entity tag of this version, without quotes.
    pub(crate) fn tag(&self) -> String {
        format!("{}-{}", self.code, self.version)
    }
}

/// The outcome of a PUT, with its label in metrics.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Put {
    /// The link did not exist.
    Created(Link),
    /// The link had another target.
    Updated(Link),
    /// The link had this target, so nothing was written.
    Unchanged(Link),
    /// Another tenant has a link with this code.
    Taken,
    /// The conditions of the request do not hold.
    #[strum(serialize = "precondition_failed")]
    ConditionsFailed,
}

/// The filter of a list. A field that is not set matches every link.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkFilter {
    pub(crate) host: Option<Host>,
    pub(crate) created: TimeRange,
}
