#![doc = include_str!("../README.md")]

mod admin;
mod collector;
mod config;
mod http;
mod log;
pub mod metrics;
mod otlp;
mod queue;
mod readiness;
mod standard;
pub mod task;
pub mod trace;

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tls::Trust;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

pub use admin::Admin;
pub use config::{Config, Environment, LogFormat};
pub use http::{expect_requests, request_telemetry};
pub use readiness::{Readiness, Report, Status};

/// Attribute names of OpenTelemetry's semantic conventions, for fields of spans: `{ semconv::MESSAGING_SYSTEM } = semconv::KAFKA`.
pub mod semconv {
    pub use opentelemetry_semantic_conventions::attribute::*;

    /// The value of [`MESSAGING_SYSTEM`] for Kafka.
    pub const KAFKA: &str = "kafka";
}

/// The name and version of a service, for logs, spans and metrics.
#[derive(Clone, Copy, Debug)]
pub struct ServiceInfo {
    /// The name of the service.
    pub name: &'static str,
    /// The version of its build.
    pub version: &'static str,
}

/// The running telemetry of this process.
#[derive(Debug)]
#[must_use = "spans in the queue are lost unless shutdown is awaited"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Installs logs, traces, metrics and the panic hook. Call it once per process, on the runtime that lives longest.
///
/// `trust` has the certificate authorities for the connection to the collector.
pub fn init(info: ServiceInfo, config: &Config, trust: &Trust) -> anyhow::Result<Telemetry> {
    let mut settings = standard::Settings::read(config);
    let provider = otlp::provider(info, &mut settings, trust);
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(info.name))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(span_filter())
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(log::layer(config.log_format))
        .try_init()
        .context("telemetry::init was called twice in this process")?;
    for warning in settings.warnings {
        tracing::warn!(warning, "a setting of OpenTelemetry is ignored");
    }
    log::install_panic_hook();
    metrics::show(info.name, &otlp::version(info));
    Ok(Telemetry { provider })
}

impl Telemetry {
    /// Sends the queued spans, within the timeout.
    pub async fn shutdown(self, timeout: Duration) {
        let Some(provider) = self.provider else { return };
        // The SDK blocks until the export is finished.
        let flush = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(timeout));
        let outcome = match tokio::time::timeout(timeout, flush).await {
            Ok(Ok(sent)) => sent.map_err(|error| error.to_string()),
            Ok(Err(panicked)) => Err(panicked.to_string()),
            Err(_) => Err(format!("not done within {} ms", timeout.as_millis())),
        };
        if let Err(error) = outcome {
            tracing::warn!(error, "the last spans were not sent");
        }
    }
}

/// Omits from traces the exporter's own client (its spans would cause more exports), and spans that last as long as the process.
fn span_filter() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_targets(
        ["hyper", "hyper_util", "h2", "tower", "reqwest", "opentelemetry", task::TARGET]
            .map(|target| (target, LevelFilter::OFF)),
    )
}
