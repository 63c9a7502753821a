//! Values of settings: delays, retentions, URLs.

use std::{str::FromStr, time::Duration};

use url::Url;

/// A delay as it is written, which is also the end of the name of its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetryDelay {
    pub(super) name: String,
    pub(super) duration: Duration,
}

impl FromStr for RetryDelay {
    type Err = String;

    /// Parses whole milliseconds, seconds or minutes.
    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || {
            format!(
                "`{text}` is not a delay: write milliseconds, seconds or minutes, such as `500ms`, `5s` or `10m`"
            )
        };
        // `ms` before `s`, which it ends with.
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000)];
        let mut split = units.iter().filter_map(|(unit, ms)| Some((text.strip_suffix(unit)?, *ms)));
        let (number, ms_per_unit) = split.next().ok_or_else(malformed)?;
        let number: u32 = number.parse().ok().filter(|number| *number > 0).ok_or_else(malformed)?;
        Ok(Self { name: text.to_owned(), duration: Duration::from_millis(u64::from(number) * ms_per_unit) })
    }
}

/// Parses a retention in whole days or hours.
pub(super) fn parse_retention(text: &str) -> Result<Duration, String> {
    let malformed = || format!("`{text}` is not a retention: write days or hours, such as `7d` or `36h`");
    let (number, hours_per_unit) = text
        .strip_suffix('d')
        .map(|days| (days, 24))
        .or_else(|| text.strip_suffix('h').map(|hours| (hours, 1)))
        .ok_or_else(malformed)?;
    let number: u32 = number.parse().ok().filter(|number| *number > 0).ok_or_else(malformed)?;
    Ok(Duration::from_hours(u64::from(number) * hours_per_unit))
}

pub(super) fn parse_base_url(text: &str) -> Result<Url, String> {
    let malformed = || format!("`{text}` is not a base URL: write it like `http://links:8080`");
    let url = Url::parse(text).ok().filter(Url::has_host).ok_or_else(malformed)?;
    if matches!(url.scheme(), "http" | "https") && url.path() == "/" { Ok(url) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_has_days_or_hours() {
        assert_eq!(parse_retention("30d"), Ok(Duration::from_hours(720)));
        assert_eq!(parse_retention("36h"), Ok(Duration::from_hours(36)));
        for bad in ["", "7", "d", "0d", "-1d", "1.5d", "7w", "7 d"] {
            assert!(parse_retention(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_retry_delay_has_milliseconds_seconds_or_minutes() {
        let duration = |text: &str| text.parse::<RetryDelay>().map(|delay| delay.duration);
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("10m"), Ok(Duration::from_mins(10)));
        for bad in ["", "5", "s", "0s", "-1s", "1.5s", "2h", "5 s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_base_url_has_a_host_and_no_path() {
        for good in ["http://127.0.0.1:7401", "https://links.example.com/"] {
            assert!(parse_base_url(good).is_ok(), "{good}");
        }
        for bad in ["", "links:7401", "ftp://links", "http://links/v1"] {
            assert!(parse_base_url(bad).is_err(), "{bad}");
        }
    }
}
