//! Time limits and concurrency limit of remote operations.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;

/// Settings of remote operations.
#[derive(Args, Clone, Debug)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
#[expect(clippy::struct_field_names, reason = "a field's name is the name of its environment variable")]
pub struct Config {
    /// How long an operation stays its owner's without a sign of life, in milliseconds. A dead owner's work waits for
    /// so long; a living owner renews its lease three times in it.
    #[arg(long, env, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1_000..=600_000))]
    pub idempotency_lease_ms: u64,

    /// How long one attempt may take in all, in milliseconds: however often it renews its lease, this ends it.
    #[arg(long, env, value_name = "MS", default_value_t = 60_000)]
    pub idempotency_max_attempt_ms: u64,

    /// Operations of one kind that one process works on at once; a request beyond that is shed with 503.
    #[arg(long, env, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub idempotency_max_running: u16,
}

impl Config {
    /// Returns the limits, checked against each other.
    ///
    /// # Errors
    /// An attempt would end before its lease does.
    pub fn limits(&self) -> anyhow::Result<Limits> {
        let (lease_ms, max_attempt_ms) = (self.idempotency_lease_ms, self.idempotency_max_attempt_ms);
        ensure!(
            max_attempt_ms >= lease_ms,
            "IDEMPOTENCY_MAX_ATTEMPT_MS ({max_attempt_ms}) must be at least IDEMPOTENCY_LEASE_MS ({lease_ms}); raise it above \
             the longest time that the calls of one attempt take together"
        );
        Ok(Limits {
            lease: Duration::from_millis(lease_ms),
            max_attempt: Duration::from_millis(max_attempt_ms),
            max_running: self.idempotency_max_running.into(),
        })
    }
}

/// Validated limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub(super) lease: Duration,
    pub(super) max_attempt: Duration,
    pub(super) max_running: usize,
}
