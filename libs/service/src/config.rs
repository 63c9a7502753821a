//! The settings that every service has.

use std::{net::SocketAddr, time::Duration};

use actix_web::web;
use anyhow::ensure;
use clap::Args;
use telemetry::Environment;

/// The settings that starting and stopping need.
pub trait HasConfig {
    /// Returns the settings of the process.
    fn service(&self) -> &Config;

    /// Returns what adds the program's own pages to the admin port, such as switches of faults; by default there are none.
    fn admin_pages(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static {
        |_: &mut web::ServiceConfig| ()
    }
}

/// The settings of a process. Each is a flag and an environment variable; `--help` lists them.
#[derive(Clone, Debug, Args)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    #[command(flatten)]
    pub(crate) tls: tls::Config,

    /// Where this process runs. The default is production, which refuses development settings.
    #[arg(long, env = "ENVIRONMENT", value_enum, default_value = "production")]
    pub environment: Environment,

    /// The HTTP server.
    #[command(flatten)]
    pub http: http_api::server::Config,

    /// Address of metrics, liveness and readiness. Keep it off the public network.
    #[arg(long, env = "ADMIN_ADDR", value_name = "IP:PORT")]
    pub admin_addr: SocketAddr,

    /// How long to accept requests after readiness is off: longer than load balancers take to notice.
    #[arg(long, env = "SHUTDOWN_DELAY_MS", value_name = "MS", default_value_t = 0)]
    pub shutdown_delay_ms: u64,

    /// How long requests and workers may take to finish: longer than a request, and shorter than the grace period of the supervisor minus the
    /// shutdown delay and three seconds.
    #[arg(long, env = "DRAIN_TIMEOUT_MS", value_name = "MS", default_value_t = 20_000)]
    pub drain_timeout_ms: u64,

    /// Points at which a test kills the process.
    #[arg(long, env = "MUSTER_FAIL_POINTS", hide = true)]
    pub fail_points: Option<String>,

    #[command(flatten)]
    pub(crate) telemetry: telemetry::Config,
}

impl Config {
    /// Checks the rules about several settings.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.environment == Environment::Local || self.fail_points.is_none(),
            "MUSTER_FAIL_POINTS is set, which kills this process on purpose; production refuses it: unset it, \
             or set ENVIRONMENT=local"
        );
        ensure!(
            self.drain_timeout_ms > self.http.request_timeout_ms,
            "DRAIN_TIMEOUT_MS ({}) must be longer than REQUEST_TIMEOUT_MS ({}), or draining cuts requests off",
            self.drain_timeout_ms,
            self.http.request_timeout_ms
        );
        Ok(())
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}
