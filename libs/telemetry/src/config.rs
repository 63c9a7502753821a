//! The settings of telemetry, and the environment that a process runs in.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// Where a process runs: the one switch between conveniences for a laptop and refusals for production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A developer's machine or a test.
    Local,
    /// Anywhere that has users.
    Production,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Readable on a terminal, JSON everywhere else.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// For reading.
    Pretty,
}

/// Where spans go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TracesExporter {
    /// To `OTEL_EXPORTER_OTLP_ENDPOINT`, as OTLP over HTTP.
    #[default]
    Otlp,
    /// Nowhere; trace ids are still made, logged and passed on.
    None,
}

/// The settings of telemetry. What is not here but in the OpenTelemetry specification (endpoint, headers, sampler,
/// resource attributes, queue size) is read by its SDK from the standard variables.
#[derive(Clone, Debug, Args)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// How log lines look.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Where spans go.
    #[arg(long, env = "OTEL_TRACES_EXPORTER", value_enum, default_value_t)]
    pub otel_traces_exporter: TracesExporter,

    /// Switches tracing off altogether: no trace ids, nothing sent.
    #[arg(long, env = "OTEL_SDK_DISABLED")]
    pub otel_sdk_disabled: bool,

    /// The name under which spans appear; the service's own by default.
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub otel_service_name: Option<String>,

    /// How long a finished span waits for company before it is sent.
    #[arg(long, env = "OTEL_BSP_SCHEDULE_DELAY", value_name = "MS", default_value_t = 1_000)]
    pub otel_bsp_schedule_delay_ms: u64,
}

impl Config {
    pub(crate) fn schedule_delay(&self) -> Duration {
        Duration::from_millis(self.otel_bsp_schedule_delay_ms.max(1))
    }
}
