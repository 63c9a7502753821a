//! A time in a filter.

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use thiserror::Error;

/// A time from a query, on a microsecond like the times that PostgreSQL stores.
///
/// Anything finer is rounded up: for stored times, `at >= moment` and `at < moment` then say the same as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Moment(DateTime<Utc>);

/// The text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be an RFC 3339 time with its offset, such as 2025-01-31T08:00:00Z, with + written as %2B")]
pub struct InvalidMoment;

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

impl TryFrom<String> for Moment {
    type Error = InvalidMoment;

    fn try_from(text: String) -> Result<Self, InvalidMoment> {
        let at = DateTime::parse_from_rfc3339(&text).or(Err(InvalidMoment))?.to_utc();
        let rest_ns = i64::from(at.timestamp_subsec_nanos() % 1_000);
        let up = TimeDelta::nanoseconds((1_000 - rest_ns) % 1_000);
        // Four digits, so that the canonical text can be read again.
        let at = at.checked_add_signed(up).filter(|at| (1..=9999).contains(&at.year()));
        at.map(Self).ok_or(InvalidMoment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, InvalidMoment> {
        Moment::try_from(text.to_owned()).map(Moment::canonical)
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
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "2025-01-31",
            "2025-01-31T08:00:00",
            "2025-01-31T08:00:00 01:00",
            "2025-02-30T08:00:00Z",
            "1738310400",
            "yesterday",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.9999999Z",
            "0001-01-01T00:00:00+01:00",
        ] {
            assert_eq!(canonical(bad), Err(InvalidMoment), "{bad:?}");
        }
    }
}
