//! Time filters of a list.

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use thiserror::Error;

/// A half-open time range: includes its first end, excludes its second. Both ends are optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The inclusive lower end.
    pub from: Option<Timestamp>,
    /// The exclusive upper end.
    pub to: Option<Timestamp>,
}

/// The range contains no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be later than the beginning of the range")]
pub struct EmptyTimeRange;

impl TimeRange {
    /// Makes a range; an empty one is an error.
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Self, EmptyTimeRange> {
        match (from, to) {
            (Some(from), Some(to)) if from >= to => Err(EmptyTimeRange),
            _ => Ok(Self { from, to }),
        }
    }
}

/// A time of a filter, in microseconds like the times that PostgreSQL stores.
///
/// A finer time is rounded up, so `at >= timestamp` and `at < timestamp` give the same result for stored times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

/// Why a text is not a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidTimestamp {
    /// Another format, or a day or an hour that does not exist.
    #[error("must be an RFC 3339 time, such as 2025-01-31T08:00:00Z")]
    Format,
    /// The offset is missing, or its `+` was decoded as a space.
    #[error("must have its offset: Z, or such as %2B01:00, since a + in a query is a blank")]
    NoOffset,
    /// The year in UTC does not have four digits.
    #[error("must be in the years 0001 to 9999, in UTC")]
    Year,
}

impl Timestamp {
    /// Returns the time.
    pub const fn at(self) -> DateTime<Utc> {
        self.0
    }

    /// Returns the canonical text, which links and cursors contain.
    pub fn canonical(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let at = DateTime::parse_from_rfc3339(text).ok().ok_or_else(|| reason(text))?.to_utc();
        let rest_ns = i64::from(at.timestamp_subsec_nanos() % 1_000);
        let up = TimeDelta::nanoseconds((1_000 - rest_ns) % 1_000);
        // Four digits, so that the canonical text can be parsed.
        let at = at.checked_add_signed(up).filter(|at| (1..=9999).contains(&at.year()));
        at.map(Self).ok_or(InvalidTimestamp::Year)
    }
}

/// Distinguishes a missing offset from another format.
fn reason(text: &str) -> InvalidTimestamp {
    let local = text.split_once(' ').map_or(text, |(local, _)| local);
    if NaiveDateTime::parse_from_str(local, "%Y-%m-%dT%H:%M:%S%.f").is_ok() {
        InvalidTimestamp::NoOffset
    } else {
        InvalidTimestamp::Format
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_range_is_refused() {
        let timestamp = |text: &str| text.parse::<Timestamp>().ok();
        let (early, late) = (timestamp("2025-01-01T00:00:00Z"), timestamp("2025-01-01T00:00:00.000001Z"));
        assert!(early.is_some() && late.is_some());
        assert!(TimeRange::new(early, late).is_ok());
        assert!(TimeRange::new(late, None).is_ok() && TimeRange::new(None, early).is_ok());
        assert_eq!(TimeRange::new(late, early), Err(EmptyTimeRange));
        assert_eq!(TimeRange::new(early, early), Err(EmptyTimeRange));
    }

    fn canonical(text: &str) -> Result<String, InvalidTimestamp> {
        text.parse().map(Timestamp::canonical)
    }

    #[test]
    fn equal_times_have_one_text() {
        for text in ["2025-01-31T08:00:00Z", "2025-01-31T09:00:00+01:00", "2025-01-31T08:00:00.000000-00:00"]
        {
            assert_eq!(canonical(text).as_deref(), Ok("2025-01-31T08:00:00.000000Z"), "{text}");
        }
    }

    #[test]
    fn a_time_finer_than_a_microsecond_is_rounded_up() {
        for (text, rounded) in [
            ("2025-01-31T08:00:00.000001Z", "2025-01-31T08:00:00.000001Z"),
            ("2025-01-31T08:00:00.000000001Z", "2025-01-31T08:00:00.000001Z"),
            ("2025-12-31T23:59:59.9999999Z", "2026-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(rounded));
        }
    }

    #[test]
    fn an_invalid_timestamp_is_refused_with_its_reason() {
        for (bad, reason) in [
            ("", InvalidTimestamp::Format),
            ("2025-01-31", InvalidTimestamp::Format),
            ("2025-02-30T08:00:00Z", InvalidTimestamp::Format),
            ("1738310400", InvalidTimestamp::Format),
            ("yesterday", InvalidTimestamp::Format),
            ("2025-01-31T08:00:00", InvalidTimestamp::NoOffset),
            ("2025-01-31T08:00:00.5", InvalidTimestamp::NoOffset),
            ("2025-01-31T08:00:00 01:00", InvalidTimestamp::NoOffset),
            ("0000-01-01T00:00:00Z", InvalidTimestamp::Year),
            ("9999-12-31T23:59:59.9999999Z", InvalidTimestamp::Year),
            ("0001-01-01T00:00:00+01:00", InvalidTimestamp::Year),
        ] {
            assert_eq!(canonical(bad), Err(reason), "{bad:?}");
        }
    }
}
