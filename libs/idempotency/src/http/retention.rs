//! Retention of stored responses.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;

/// Settings of stored responses.
#[derive(Args, Clone, Debug)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// How long a response can be had again by its key, in seconds. Longer than a weekend by default, so that a client that
    /// broke on Friday is repaired on Monday.
    #[arg(long, env, value_name = "S", default_value_t = 259_200)]
    pub idempotency_retention_s: u64,

    /// The longest time, in seconds, after which any client still repeats a request: its backoff, its queue, its dead
    /// letters and an outage of this service together.
    #[arg(long, env, value_name = "S", default_value_t = 86_400)]
    pub idempotency_retry_window_s: u64,
}

impl Config {
    /// Returns the retention, checked against the retry window.
    ///
    /// # Errors
    /// The retention is not longer than the retry window.
    pub fn retention(&self) -> anyhow::Result<Retention> {
        Retention::new(
            Duration::from_secs(self.idempotency_retention_s),
            Duration::from_secs(self.idempotency_retry_window_s),
        )
    }
}

/// The retention of a response: longer than the retry window of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention(Duration);

impl Retention {
    /// Keeps responses for `kept`, where no request is repeated later than `retried` after it was first sent.
    ///
    /// # Errors
    /// The first is not longer than the second.
    pub fn new(kept: Duration, retried: Duration) -> anyhow::Result<Self> {
        ensure!(
            kept > retried,
            "IDEMPOTENCY_RETENTION_S ({}) must be greater than IDEMPOTENCY_RETRY_WINDOW_S ({}), or a request that is repeated \
             late takes effect twice; raise the first, or lower the second if no client repeats a request for that long",
            kept.as_secs(),
            retried.as_secs()
        );
        Ok(Self(kept))
    }

    pub(crate) fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_retention_is_longer_than_the_retry_window() {
        assert!(Retention::new(HOUR * 2, HOUR).is_ok());
        let refused = Retention::new(HOUR, HOUR).unwrap_err();
        assert!(
            refused.to_string().starts_with("IDEMPOTENCY_RETENTION_S (3600) must be greater"),
            "{refused}"
        );
    }
}
