//! The export of finished spans as OTLP over HTTP.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::WithHttpConfig as _;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, SdkTracerProvider, SpanData, SpanExporter,
        span_processor_with_async_runtime::BatchSpanProcessor,
    },
};
use tls::Trust;

use crate::{
    ServiceInfo,
    collector::{Cause, Collector},
    metrics::{self, SPANS, SPANS_DROPPED},
    queue::Counting,
    standard::{Exporter, Settings},
};

/// Makes the provider of tracers: `None` when tracing is off, one without an exporter for `OTEL_TRACES_EXPORTER=none`.
///
/// A failure to make the exporter is a warning, and does not end the process.
pub(crate) fn provider(
    info: ServiceInfo,
    settings: &mut Settings,
    trust: &Trust,
) -> Option<SdkTracerProvider> {
    if settings.disabled {
        return None;
    }
    let provider = SdkTracerProvider::builder()
        .with_sampler(settings.sampler.clone())
        .with_resource(resource(info, settings.service_name.as_deref()));
    if settings.exporter == Exporter::None {
        return Some(provider.build());
    }
    Some(match processor(settings.schedule_delay, trust) {
        Ok(processor) => provider.with_span_processor(processor).build(),
        Err(error) => {
            settings
                .warnings
                .push(format!("no spans are sent, check OTEL_EXPORTER_OTLP_ENDPOINT: {error:#}"));
            provider.build()
        }
    })
}

/// The SDK's default processor exports on a thread without a reactor, where an async HTTP client panics; this one exports on the current
/// runtime.
fn processor(schedule_delay: Duration, trust: &Trust) -> anyhow::Result<BatchSpanProcessor<Counting>> {
    let collector = Collector::new(trust)?;
    let cause = collector.cause.clone();
    let inner =
        opentelemetry_otlp::SpanExporter::builder().with_http().with_http_client(collector).build()?;
    metrics::register(&[&SPANS_DROPPED]);
    let exporter = ObservedExporter { inner, cause, failing: AtomicBool::new(false) };
    let batches = BatchConfigBuilder::default().with_scheduled_delay(schedule_delay).build();
    Ok(BatchSpanProcessor::builder(exporter, Counting).with_batch_config(batches).build())
}

/// The `service.version` of `OTEL_RESOURCE_ATTRIBUTES`, where an operator names the release; by default that of the build.
pub(crate) fn version(info: ServiceInfo) -> String {
    let detected = Resource::builder().build().get(&Key::from_static_str("service.version"));
    detected.map_or_else(|| info.version.to_owned(), |version| version.to_string())
}

fn resource(info: ServiceInfo, service_name: Option<&str>) -> Resource {
    let service_name_key = Key::from_static_str("service.name");
    let mut builder = Resource::builder().with_attribute(KeyValue::new("service.version", version(info)));
    let detected = Resource::builder().build().get(&service_name_key);
    // The SDK's fallback is `unknown_service`. The name of an operator wins over the one of the program.
    let unnamed =
        detected.is_none_or(|name| name.as_str().is_empty() || name.as_str().starts_with("unknown_service"));
    if let Some(name) = service_name {
        builder = builder.with_service_name(name.to_owned());
    } else if unnamed {
        builder = builder.with_service_name(info.name);
    }
    builder.build()
}

/// Counts sent and lost spans, and logs changes only: an outage of the trace store is two log lines.
#[derive(Debug)]
struct ObservedExporter<E> {
    inner: E,
    cause: Cause,
    failing: AtomicBool,
}

impl<E> ObservedExporter<E> {
    fn observe(&self, result: &OTelSdkResult, spans: u64) {
        let outcome = if result.is_ok() { "sent" } else { "lost" };
        SPANS.with_label_values(&[outcome]).inc_by(spans);
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        let cause = self.cause.take();
        match result {
            Err(error) if !was_failing => {
                tracing::warn!(%error, cause, "spans cannot be sent; requests are not affected, traces will be incomplete");
            }
            Ok(()) if was_failing => tracing::info!("spans are being sent again"),
            Ok(()) | Err(_) => {}
        }
    }
}

impl<E: SpanExporter> SpanExporter for ObservedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.inner.export(batch).await;
        self.observe(&result, spans);
        result
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.inner.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
