//! Omits log lines about invalid HTTP: actix logs it at level error, and any client can send it.

use std::fmt;

use tracing::{
    Event, Level, Metadata,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Filter};

/// The target of actix's log lines about a connection that failed.
const DISPATCHER: &str = "actix_http::h1::dispatcher";

/// Their prefix: invalid HTTP, and a connection that was reset.
const STREAM_ERROR: &str = "stream error: ";

/// A filter that omits those lines. The client gets a 400 or 431, or has disconnected; actix logs the same at level trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotInvalidHttp;

impl<S> Filter<S> for NotInvalidHttp {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() != Level::ERROR || metadata.target() != DISPATCHER {
            return true;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        !message.0.starts_with(STREAM_ERROR)
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tracing_subscriber::{Layer, Registry, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Count(Arc<AtomicUsize>);

    impl<S: tracing::Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_invalid_requests_of_clients_are_not_logged() {
        let count = Count::default();
        let subscriber = Registry::default().with(count.clone().with_filter(NotInvalidHttp));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "actix_http::h1::dispatcher", "stream error: {}", "request parse error");
            assert_eq!(count.0.load(Ordering::Relaxed), 0);
            tracing::error!(target: "actix_http::h1::dispatcher", "Response payload stream error");
            tracing::error!("stream error: ours");
            tracing::warn!(target: "actix_http::h1::dispatcher", "stream error: a warning");
            assert_eq!(count.0.load(Ordering::Relaxed), 3);
        });
    }
}
