//! What log lines look like, and which are written.

use std::io::{IsTerminal as _, stdout};

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, Layer, filter::FilterExt as _, fmt, registry::LookupSpan};

use crate::LogFormat;

mod json;
mod strangers;

/// What is written when `RUST_LOG` says nothing: our own lines, and only trouble from the libraries that chat at info.
const DEFAULT_FILTER: &str =
    "info,actix_server=warn,actix_http=warn,librdkafka=warn,refinery_core=warn,tokio_postgres=warn";

/// Makes the layer that writes log lines to standard output.
pub(crate) fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let filter = filter.and(strangers::NoStrangers);
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
