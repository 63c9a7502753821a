//! The times that a list is about.

use thiserror::Error;

use crate::Moment;

/// A half-open range of times: from the first on, up to and without the second. Either end may be open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    from: Option<Moment>,
    to: Option<Moment>,
}

/// Nothing can lie in the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be later than the beginning of the range")]
pub struct EmptyRange;

impl Range {
    /// Makes a range that is not empty.
    pub fn new(from: Option<Moment>, to: Option<Moment>) -> Result<Self, EmptyRange> {
        match (from, to) {
            (Some(from), Some(to)) if from >= to => Err(EmptyRange),
            _ => Ok(Self { from, to }),
        }
    }

    /// The first time that is in it.
    pub const fn from(&self) -> Option<Moment> {
        self.from
    }

    /// The first time after it.
    pub const fn to(&self) -> Option<Moment> {
        self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_after_it_begins() {
        let moment = |text: &str| text.parse::<Moment>().ok();
        let (early, late) = (moment("2025-01-01T00:00:00Z"), moment("2025-01-01T00:00:00.000001Z"));
        assert!(early.is_some() && late.is_some());
        assert!(Range::new(early, late).is_ok());
        assert!(Range::new(late, None).is_ok() && Range::new(None, early).is_ok());
        assert_eq!(Range::new(late, early), Err(EmptyRange));
        assert_eq!(Range::new(early, early), Err(EmptyRange));
    }
}
