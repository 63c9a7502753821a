//! Parameters of a list request: scope (tenant, route, filters), order and limit.

use std::{borrow::Cow, str::FromStr};

use strum::{EnumString, IntoStaticStr};
use thiserror::Error;

use crate::{TimeRange, Timestamp};

/// The list to which a cursor is bound: tenant, route, filters and order.
///
/// Has no `Debug` output, because filters can be personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Scope {
    pub(crate) tenant: String,
    pub(crate) route: Cow<'static, str>,
    pub(crate) sort: Sort,
    pub(crate) filters: Vec<(&'static str, String)>,
}

impl Scope {
    /// Makes the scope of a list without filters. `route` is the request path, with the values of its parameters.
    pub fn new(tenant: &str, route: impl Into<Cow<'static, str>>, sort: Sort) -> Self {
        Self { tenant: tenant.to_owned(), route: route.into(), sort, filters: Vec::new() }
    }

    /// Adds a filter, if it is set, under the name of its query parameter.
    ///
    /// Pass the canonical spelling of a value: two spellings are two filters.
    #[must_use]
    pub fn filter(mut self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        self.filters.extend(value.map(|value| (name, value.into())));
        self
    }

    /// Adds the ends of a time range as the filters `created_from` and `created_to`.
    #[must_use]
    pub fn created(self, range: TimeRange) -> Self {
        self.filter("created_from", range.from.map(Timestamp::canonical))
            .filter("created_to", range.to.map(Timestamp::canonical))
    }
}

/// The order of a list: the parameter `order`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase", parse_err_ty = InvalidSort, parse_err_fn = invalid_sort)]
pub enum Sort {
    /// The latest first.
    #[default]
    Newest,
    /// The earliest first.
    Oldest,
}

/// The text is not an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be newest or oldest")]
pub struct InvalidSort;

fn invalid_sort(_: &str) -> InvalidSort {
    InvalidSort
}

/// The maximum number of rows of a page: 1 to 200, 50 by default.
///
/// A cursor is not bound to the limit, so each page can have another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u8);

/// The text is not a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a whole number from 1 to {}", Limit::MAX)]
pub struct InvalidLimit;

impl Limit {
    /// Rows of the largest page.
    pub const MAX: u8 = 200;

    /// Makes a limit; `None` when it is 0 or above [`MAX`](Self::MAX).
    pub fn new(rows: u8) -> Option<Self> {
        (1..=Self::MAX).contains(&rows).then_some(Self(rows))
    }

    /// Returns the number of rows.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl FromStr for Limit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        // Rust also parses `+5`, which in a query string means a space and a five.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let rows = if digits { text.parse().ok() } else { None };
        rows.and_then(Self::new).ok_or(InvalidLimit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_1_to_200() {
        for (text, rows) in [("1", 1), ("50", 50), ("200", 200), ("007", 7)] {
            assert_eq!(text.parse().map(Limit::get), Ok(rows));
        }
        for bad in ["", "0", "201", "256", "-1", "+5", " 5", "5.0", "abc", "99999999999999999999"] {
            assert_eq!(bad.parse::<Limit>(), Err(InvalidLimit), "{bad:?}");
        }
        assert_eq!(Limit::default().get(), 50);
    }
}
