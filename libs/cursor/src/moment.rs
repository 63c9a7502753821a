//! A time in a filter.

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use thiserror::Error;

/// A time from a query, on a microsecond like the times that PostgreSQL stores.
///
/// Anything finer is rounded up: for stored times, `at >= moment` and `at < moment` then say the same as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(DateTime<Utc>);

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidMoment {
    /// It has another form, or names a day or an hour that there is not.
    #[error("must be an RFC 3339 time, such as 2025-01-31T08:00:00Z")]
    NotATime,
    /// It would be one, if its offset were not missing or read as a blank.
    #[error("must have its offset: Z, or such as %2B01:00, since a + in a query is a blank")]
    NoOffset,
    /// Its year in UTC has not four digits.
    #[error("must be in the years 0001 to 9999, in UTC")]
    Year,
}

impl Moment {
    /// Returns the time.
    pub const fn at(self) -> DateTime<Utc> {
        self.0
    }

    /// Returns the one text by which it is known in links and in the cursor's binding.
    pub fn canonical(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        let at = DateTime::parse_from_rfc3339(text).ok().ok_or_else(|| fault(text))?.to_utc();
        let rest_ns = i64::from(at.timestamp_subsec_nanos() % 1_000);
        let up = TimeDelta::nanoseconds((1_000 - rest_ns) % 1_000);
        // Four digits, so that the canonical text can be read again.
        let at = at.checked_add_signed(up).filter(|at| (1..=9999).contains(&at.year()));
        at.map(Self).ok_or(InvalidMoment::Year)
    }
}

/// Says of a text that is no time how far it is from one.
fn fault(text: &str) -> InvalidMoment {
    let local = text.split_once(' ').map_or(text, |(local, _)| local);
    if NaiveDateTime::parse_from_str(local, "%Y-%m-%dT%H:%M:%S%.f").is_ok() {
        InvalidMoment::NoOffset
    } else {
        InvalidMoment::NotATime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, InvalidMoment> {
        text.parse().map(Moment::canonical)
    }

    #[test]
    fn equal_times_have_one_text() {
        for text in ["2025-01-31T08:00:00Z", "2025-01-31T09:00:00+01:00", "2025-01-31T08:00:00.000000-00:00"]
        {
            assert_eq!(canonical(text).as_deref(), Ok("2025-01-31T08:00:00.000000Z"), "{text}");
        }
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_rounded_up() {
        for (text, rounded) in [
            ("2025-01-31T08:00:00.000001Z", "2025-01-31T08:00:00.000001Z"),
            ("2025-01-31T08:00:00.000000001Z", "2025-01-31T08:00:00.000001Z"),
            ("2025-12-31T23:59:59.9999999Z", "2026-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(rounded));
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_its_reason() {
        for (bad, reason) in [
            ("", InvalidMoment::NotATime),
            ("2025-01-31", InvalidMoment::NotATime),
            ("2025-02-30T08:00:00Z", InvalidMoment::NotATime),
            ("1738310400", InvalidMoment::NotATime),
            ("yesterday", InvalidMoment::NotATime),
            ("2025-01-31T08:00:00", InvalidMoment::NoOffset),
            ("2025-01-31T08:00:00.5", InvalidMoment::NoOffset),
            ("2025-01-31T08:00:00 01:00", InvalidMoment::NoOffset),
            ("0000-01-01T00:00:00Z", InvalidMoment::Year),
            ("9999-12-31T23:59:59.9999999Z", InvalidMoment::Year),
            ("0001-01-01T00:00:00+01:00", InvalidMoment::Year),
        ] {
            assert_eq!(canonical(bad), Err(reason), "{bad:?}");
        }
    }
}
