//! The settings of telemetry, and the environment of the process.

use clap::{Args, ValueEnum};

/// Where a process runs: production refuses conveniences of a laptop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A developer's machine or a test.
    Local,
    /// A system with users.
    Production,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Readable on a terminal, JSON everywhere else.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// Text for people.
    Pretty,
}

/// The settings of telemetry.
///
/// Those of the OpenTelemetry specification are texts, because an invalid one must be reported and ignored, and not end the process. The SDK reads
/// the other standard variables (endpoint, headers, resource attributes, queue size) itself.
#[derive(Clone, Debug, Args)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// The format of log lines.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Where spans go: `otlp` (default) or `none`.
    #[arg(long, env = "OTEL_TRACES_EXPORTER", value_name = "EXPORTER")]
    pub otel_traces_exporter: Option<String>,

    /// `true` switches tracing off: no trace ids, and no spans are sent.
    #[arg(long, env = "OTEL_SDK_DISABLED", value_name = "BOOLEAN", num_args = 0..=1, default_missing_value = "true")]
    pub otel_sdk_disabled: Option<String>,

    /// The service name of spans; the name of the program by default.
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub otel_service_name: Option<String>,

    /// How long a finished span waits for its batch, in milliseconds; 1000 by default.
    #[arg(long, env = "OTEL_BSP_SCHEDULE_DELAY", value_name = "MS", allow_hyphen_values = true)]
    pub otel_bsp_schedule_delay: Option<String>,

    /// The sampler: `parentbased_always_on` (default), `parentbased_traceidratio`, or another of the specification.
    #[arg(long, env = "OTEL_TRACES_SAMPLER", value_name = "SAMPLER")]
    pub otel_traces_sampler: Option<String>,

    /// The ratio of a sampler with one, from 0 to 1; 1 by default.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO", allow_hyphen_values = true)]
    pub otel_traces_sampler_arg: Option<String>,
}
