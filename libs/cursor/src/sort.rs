//! The order of a list.

use std::str::FromStr;

use thiserror::Error;

/// The order of a list, as the parameter `order` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The latest first.
    #[default]
    Newest,
    /// The earliest first.
    Oldest,
}

/// The text names no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be newest or oldest")]
pub struct InvalidSort;

impl Sort {
    /// Returns the name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        }
    }
}

impl FromStr for Sort {
    type Err = InvalidSort;

    fn from_str(text: &str) -> Result<Self, InvalidSort> {
        [Self::Newest, Self::Oldest].into_iter().find(|sort| sort.as_str() == text).ok_or(InvalidSort)
    }
}
