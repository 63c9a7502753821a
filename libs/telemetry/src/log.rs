//! Logs: JSON lines or readable text on standard output, panics included.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{IsTerminal as _, stdout},
    panic::PanicHookInfo,
};

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, Layer, filter::FilterExt as _, fmt, registry::LookupSpan};

use crate::LogFormat;

mod invalid_http;
mod json;

/// The filter without `RUST_LOG`: info of our own crates, warnings of libraries that log much at info.
const DEFAULT_FILTER: &str =
    "info,actix_server=warn,actix_http=warn,librdkafka=warn,refinery_core=warn,tokio_postgres=warn";

pub(crate) fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let filter = filter.and(invalid_http::NotInvalidHttp);
    let terminal = stdout().is_terminal();
    let pretty = match format {
        LogFormat::Auto => terminal,
        LogFormat::Json => false,
        LogFormat::Pretty => true,
    };
    if pretty {
        fmt::layer().with_ansi(terminal).with_filter(filter).boxed()
    } else {
        json::JsonLines::new(stdout).with_filter(filter).boxed()
    }
}

/// Replaces the panic hook of the process: a panic is one log line, with the ids of its request.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let reason = panic.payload_as_str().unwrap_or("a value that is not text");
    let location = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    let thread = std::thread::current();
    tracing::error!(reason, location, backtrace, thread = thread.name(), "a thread panicked");
}
