//! The settings of admission.

use clap::{Args, value_parser};

/// How much is let in. The defaults are for one process in front of one database; the README says how to size them.
#[derive(Clone, Debug, Args)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// Requests per second that one tenant may send to this process, on average. Beyond it: 429 `quota_exceeded`.
    #[arg(long, env, value_name = "N", default_value_t = 2_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub quota_requests_per_second: u32,

    /// Requests that a tenant may send at once after a pause.
    #[arg(long, env, value_name = "N", default_value_t = 4_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub quota_burst: u32,

    /// Requests that are worked on at a time. Beyond it (writes: beyond 80 % of it): 503 `overloaded`.
    #[arg(long, env, value_name = "N", default_value_t = 512, value_parser = value_parser!(u32).range(10..=100_000))]
    pub max_requests_in_flight: u32,
}
