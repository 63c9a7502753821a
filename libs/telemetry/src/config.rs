//! The settings of telemetry, and the environment that a process runs in.

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

/// The settings of telemetry.
///
/// Those of the OpenTelemetry specification are texts, because it asks that none of them ends the process:
/// what makes no sense is reported in the log and ignored. What is not here but in the specification (endpoint, headers, resource
/// attributes, queue size) is read by its SDK from the standard variables.
#[derive(Clone, Debug, Args)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// How log lines look.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Where spans go: `otlp` (default) or `none`.
    #[arg(long, env = "OTEL_TRACES_EXPORTER", value_name = "EXPORTER")]
    pub otel_traces_exporter: Option<String>,

    /// Switches tracing off altogether when it is `true`: no trace ids, nothing sent.
    #[arg(long, env = "OTEL_SDK_DISABLED", value_name = "BOOLEAN", num_args = 0..=1, default_missing_value = "true")]
    pub otel_sdk_disabled: Option<String>,

    /// The name under which spans appear; the service's own by default.
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub otel_service_name: Option<String>,

    /// How long a finished span waits for company before it is sent; 1000 by default.
    #[arg(long, env = "OTEL_BSP_SCHEDULE_DELAY", value_name = "MS", allow_hyphen_values = true)]
    pub otel_bsp_schedule_delay: Option<String>,

    /// Which traces are recorded: `parentbased_always_on` (default), `parentbased_traceidratio`, or another of the specification.
    #[arg(long, env = "OTEL_TRACES_SAMPLER", value_name = "SAMPLER")]
    pub otel_traces_sampler: Option<String>,

    /// The share of traces that a sampler with a ratio records, from 0 to 1; 1 by default.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO", allow_hyphen_values = true)]
    pub otel_traces_sampler_arg: Option<String>,
}
