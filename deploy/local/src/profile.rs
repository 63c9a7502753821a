//! How fast time runs for the rules that Prometheus watches.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which of the generated rules a stack runs with; see `deploy/monitoring`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    /// Objectives over 30 days, as in production: an alert takes minutes to hours.
    Production,
    /// The same shape sixty times faster. The default, since nobody practises for hours.
    #[default]
    Drill,
}

impl Profile {
    /// How often metrics are read and rules are looked at. The shortest window of a profile has to hold two readings.
    pub(crate) fn scrape_interval(self) -> &'static str {
        match self {
            Self::Production => "15s",
            Self::Drill => "2s",
        }
    }

    /// How long the heartbeat may stay away: three repetitions, and in a drill as long as a stack may take to start.
    pub(crate) fn heartbeat_within(self) -> Duration {
        match self {
            Self::Production => Duration::from_mins(15),
            Self::Drill => Duration::from_mins(1),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Production => "production",
            Self::Drill => "drill",
        })
    }
}
