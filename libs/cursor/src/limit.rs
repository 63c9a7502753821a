//! How many rows a page has.

use std::str::FromStr;

use thiserror::Error;

/// How many rows a page has at most: 1 to 200, and 50 when nobody says.
///
/// It is no part of what a cursor is bound to: every page may have another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u8);

/// The text is no limit.
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
        // Rust also reads `+5`, which in a query is a space and a five.
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
