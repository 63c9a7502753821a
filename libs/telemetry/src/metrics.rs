//! The table of a crate's Prometheus metrics: name, kind, labels, buckets and help in one place each.

use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::core::Collector;
pub use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts,
};

/// The upper bounds, in seconds, of every latency histogram. The objectives (50 ms, 250 ms) are bounds, so that the
/// share of requests within them is exact and not interpolated.
pub const LATENCY_BUCKETS: &[f64] = &[0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

crate::metrics! {
    /// Always 1; the labels say what is running.
    BUILD_INFO: IntGaugeVec = "build_info" [service, version];
    /// The clock of this process when the metrics were read, in seconds since 1970.
    pub(crate) CLOCK: Gauge = "clock_timestamp_seconds";
    /// Time from the request's head to the response's.
    pub(crate) REQUEST_DURATION: HistogramVec = "http_server_request_duration_seconds" [method, route, status], buckets LATENCY_BUCKETS;
    /// Requests that have no response yet.
    pub(crate) REQUESTS_IN_FLIGHT: IntGauge = "http_server_requests_in_flight";
    /// Spans handed to the trace store, by outcome.
    pub(crate) SPANS: IntCounterVec = "otel_spans_total" [outcome];
    /// Spans dropped before the exporter because the queue was full.
    pub(crate) SPANS_DROPPED: IntCounter = "telemetry_spans_dropped_total";
}

/// Sets what does not depend on what the process does. The registry itself adds CPU, memory and descriptors.
pub(crate) fn show(service: &str, version: &str) {
    BUILD_INFO.with_label_values(&[service, version]).set(1);
}

/// Sets the gauge of the clock. Each scrape compares it with its own time.
pub(crate) fn show_clock() {
    CLOCK.set(now());
}

/// The time for a gauge, in seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Registers metrics, so that a counter reports 0 before its first event: an alert then sees the first event as an increase.
pub fn register<M>(metrics: &[&LazyLock<M>]) {
    for metric in metrics {
        LazyLock::force(metric);
    }
}

/// A kind of metric, with `N` labels and these options.
pub trait Metric<const N: usize, O> {
    /// Makes the metric and adds it to the registry of the process.
    ///
    /// # Panics
    /// The name is in use, or a name, a label or a bucket is invalid.
    fn new(opts: O, labels: [&str; N]) -> Self;
}

macro_rules! kinds {
    ($($kind:ident $with_labels:ident $opts:ident;)+) => {
        $(
            impl Metric<0, $opts> for $kind {
                fn new(opts: $opts, _: [&str; 0]) -> Self {
                    registered($kind::with_opts(opts))
                }
            }

            impl<const N: usize> Metric<N, $opts> for $with_labels {
                fn new(opts: $opts, labels: [&str; N]) -> Self {
                    registered($with_labels::new(opts, &labels))
                }
            }
        )+
    };
}

kinds! {
    Gauge GaugeVec Opts;
    Histogram HistogramVec HistogramOpts;
    IntCounter IntCounterVec Opts;
    IntGauge IntGaugeVec Opts;
}

fn registered<M: Collector + Clone + 'static>(metric: prometheus::Result<M>) -> M {
    let metric = metric.expect("name, labels and buckets are valid");
    prometheus::register(Box::new(metric.clone())).expect("each metric is in one table only");
    metric
}

/// Declares the metrics of a crate as statics, one row each.
///
/// A row is help (the doc comment, one line), name of the static, kind, name of the metric, labels and buckets. A metric is registered at its
/// first use. A kind without `Vec` takes no labels, and only a histogram takes buckets; another row does not compile.
///
/// ```
/// telemetry::metrics! {
///     /// Cups of coffee, by size.
///     CUPS: IntCounterVec = "cups_total" [size];
///     /// Time to make a cup.
///     pub(crate) DURATION: Histogram = "cup_duration_seconds", buckets &[10.0, 30.0, 60.0];
/// }
/// CUPS.with_label_values(&["large"]).inc();
/// DURATION.observe(12.5);
/// ```
#[macro_export]
macro_rules! metrics {
    ($(
        #[doc = $help:literal]
        $visibility:vis $static:ident: $kind:ident = $name:literal $([$($label:ident),+])? $(, buckets $buckets:expr)?;
    )+) => {
        $(
            #[doc = $help]
            $visibility static $static: ::std::sync::LazyLock<$crate::metrics::$kind> = ::std::sync::LazyLock::new(|| {
                let opts = $crate::metrics!(@opts $name, $help $(, $buckets)?);
                $crate::metrics::Metric::new(opts, [$($(stringify!($label)),+)?])
            });
        )+
    };
    (@opts $name:literal, $help:literal) => {
        $crate::metrics::Opts::new($name, $help.trim_ascii())
    };
    (@opts $name:literal, $help:literal, $buckets:expr) => {
        $crate::metrics::HistogramOpts::new($name, $help.trim_ascii()).buckets($buckets.to_vec())
    };
}
