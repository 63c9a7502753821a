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
    pub(crate) fn scrape_interval(self) -> Duration {
        match self {
            Self::Production => Duration::from_secs(15),
            Self::Drill => Duration::from_secs(2),
        }
    }

    /// How long Prometheus waits before it sends an alert that goes on again. Alertmanager takes one for ended that it was not sent for four
    /// times that long, and after a restart has none until then.
    pub(crate) fn resend_delay(self) -> Duration {
        match self {
            Self::Production => Duration::from_mins(1),
            Self::Drill => Duration::from_secs(5),
        }
    }

    /// How long an open alert has to be absent at Alertmanager before it has ended: longer than a restarted Alertmanager is
    /// without the alerts that go on.
    pub(crate) fn absent_for(self) -> Duration {
        match self {
            Self::Production => Duration::from_secs(90),
            Self::Drill => Duration::from_secs(12),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_alertmanager_has_every_alert_again_before_one_counts_as_ended() {
        for profile in [Profile::Production, Profile::Drill] {
            let sent_again = profile.resend_delay() + profile.scrape_interval();
            assert!(profile.absent_for() > sent_again, "{profile}: {sent_again:?}");
        }
    }
}
