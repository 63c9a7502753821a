//! The two time scales of the rules, and durations in Prometheus' notation.

use std::{fmt, str::FromStr};

use anyhow::{Context as _, ensure};

/// One of two sets of rules that differ only in the length of every window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Windows for objectives over 30 days.
    Production,
    /// Every window divided by sixty, for drills of minutes.
    Drill,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::Production, Self::Drill];

    /// The name in paths and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Drill => "drill",
        }
    }

    /// Scales a window of production; exact, because windows here are whole multiples of 60 ms.
    pub(crate) fn scale(self, window: Window) -> Window {
        match self {
            Self::Production => window,
            Self::Drill => Window(window.0 / 60),
        }
    }
}

/// The units of Prometheus that this crate uses, in milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("ms", 1), ("s", 1_000)];

/// A duration in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window(u64);

impl Window {
    pub(crate) const fn minutes(minutes: u64) -> Self {
        Self(minutes * 60_000)
    }

    /// The length in seconds, as a number in an expression.
    pub(crate) fn seconds(self) -> String {
        let (whole, millis) = (self.0 / 1_000, self.0 % 1_000);
        if millis == 0 { whole.to_string() } else { format!("{whole}.{millis:03}") }
    }
}

impl FromStr for Window {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let unknown = || format!("`{text}` is not a duration: write one number and one unit, as in 5m");
        let (number, millis) = UNITS
            .iter()
            .find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, millis)))
            .with_context(unknown)?;
        let number: u64 = number.parse().with_context(unknown)?;
        let window = Self(number * millis);
        ensure!(window.0 > 0 && window.0.is_multiple_of(60), "`{text}` has no exact sixtieth");
        Ok(window)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, millis) = [UNITS[0], UNITS[1], UNITS[2], UNITS[4]]
            .into_iter()
            .find(|(_, millis)| self.0.is_multiple_of(*millis))
            .unwrap_or(UNITS[3]);
        write!(formatter, "{}{unit}", self.0 / millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sixtieth_is_written_in_the_largest_exact_unit() {
        for (production, drill) in [
            ("5m", "5s"),
            ("30m", "30s"),
            ("1h", "1m"),
            ("6h", "6m"),
            ("1d", "24m"),
            ("3d", "72m"),
            ("30d", "12h"),
            ("30s", "500ms"),
        ] {
            let window: Window = production.parse().unwrap();
            assert_eq!(window.to_string(), production);
            assert_eq!(Profile::Drill.scale(window).to_string(), drill);
        }
    }

    #[test]
    fn an_invalid_duration_is_refused() {
        for bad in ["", "5", "m", "5w", "1h30m", "-5m", "0m", "0.5h", "7ms"] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
    }

    #[test]
    fn seconds_are_a_number_of_an_expression() {
        assert_eq!(Window::minutes(5).seconds(), "300");
        assert_eq!(Profile::Drill.scale("30s".parse().unwrap()).seconds(), "0.500");
    }
}
