//! Profiles of the alert rules: the time scale of Prometheus, Alertmanager and the pager.

use std::{fmt, time::Duration};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The set of generated rules of a stack, see `deploy/monitoring`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    /// Objectives over 30 days, as in production: an alert takes minutes to hours.
    Production,
    /// The same rules, sixty times faster. The default.
    #[default]
    Drill,
}

/// The intervals of one profile.
pub(crate) struct Timing {
    /// Between two scrapes and two evaluations. The shortest window of a profile has to contain two scrapes.
    pub(crate) scrape_interval: Duration,
    /// The delay after which Prometheus resends a firing alert. Alertmanager resolves an alert that it does not get for four times that
    /// long; after a restart it has no alerts for one delay.
    pub(crate) resend_delay: Duration,
    /// The time for which Alertmanager lacks an open alert before it counts as ended: longer than a restarted Alertmanager lacks the
    /// firing alerts.
    pub(crate) absent_for: Duration,
    /// The time without a heartbeat after which the pager pages: three repetitions; in a drill, the time that a stack needs to start.
    pub(crate) heartbeat_within: Duration,
}

impl Profile {
    pub(crate) fn timing(self) -> Timing {
        match self {
            Self::Production => Timing {
                scrape_interval: Duration::from_secs(15),
                resend_delay: Duration::from_mins(1),
                absent_for: Duration::from_secs(90),
                heartbeat_within: Duration::from_mins(15),
            },
            Self::Drill => Timing {
                scrape_interval: Duration::from_secs(2),
                resend_delay: Duration::from_secs(5),
                absent_for: Duration::from_secs(12),
                heartbeat_within: Duration::from_mins(1),
            },
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.to_possible_value().expect("every profile is an option").get_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_alertmanager_has_every_alert_again_before_one_counts_as_ended() {
        for profile in [Profile::Production, Profile::Drill] {
            let Timing { resend_delay, scrape_interval, absent_for, .. } = profile.timing();
            let sent_again = resend_delay + scrape_interval;
            assert!(absent_for > sent_again, "{profile}: {sent_again:?}");
        }
    }
}
