use std::{
    io,
    sync::{Arc, Mutex},
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Instrument as _, field::Empty, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the lines that `log` writes.
fn lines(log: impl FnOnce()) -> Vec<Value> {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(tracer))
        .with(JsonLines::new(move || writer.clone()));
    tracing::subscriber::with_default(subscriber, log);
    let bytes = buffer.0.lock().unwrap();
    std::str::from_utf8(&bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_is_flat_and_keeps_types() {
    let lines = lines(
        || tracing::info!(count = 3, ms = 7_u128, ratio = 0.5, ok = true, name = %"a\nb", "two\nlines"),
    );
    let line = lines[0].as_object().unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&line["level"], &line["message"], &line["name"]),
        (&"INFO".into(), &"two\nlines".into(), &"a\nb".into())
    );
    assert_eq!((&line["count"], &line["ratio"], &line["ok"]), (&3.into(), &0.5.into(), &true.into()));
    assert_eq!(line["ms"], 7);
    assert_eq!(line["target"], "telemetry::log::json::tests");
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.ends_with('Z') && timestamp.len() == 27, "{timestamp}");
}

#[test]
fn a_line_has_the_ids_of_its_span_recorded_late_too() {
    let lines = lines(|| {
        let request = info_span!("request", request_id = Empty, secret = "not for the log");
        request.record("request_id", "from-the-edge");
        let _request = request.entered();
        info_span!("inner").in_scope(|| tracing::info!("inside"));
        tracing::info!("outside");
    });
    for line in &lines {
        assert_eq!(line["request_id"], "from-the-edge");
        assert_eq!(line["trace_id"], lines[0]["trace_id"]);
        assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
        assert!(line.get("secret").is_none(), "{line}");
    }
    assert_ne!(lines[0]["span_id"], lines[1]["span_id"]);
}

#[test]
fn a_field_with_a_reserved_name_is_kept() {
    let lines = lines(|| tracing::info!(level = "hot", target = "moon", "clash"));
    assert_eq!((&lines[0]["level"], &lines[0]["level_"]), (&"INFO".into(), &"hot".into()));
    assert_eq!(lines[0]["target_"], "moon");
}

#[test]
fn an_error_is_logged_with_its_sources() {
    #[derive(Debug)]
    struct Outer(io::Error);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let error = Outer(io::Error::other("inner"));
    let lines = lines(|| tracing::warn!(error = &error as &dyn std::error::Error, "failed"));
    assert_eq!(lines[0]["error"], "outer: inner");
}

#[test]
fn a_task_has_its_name_on_every_line() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lines = lines(|| {
        let task = async { crate::task::spawn("relay", async { tracing::info!("at work") }).await };
        runtime.block_on(task.instrument(info_span!("request", request_id = "12345678"))).unwrap();
    });
    assert_eq!((&lines[0]["task"], &lines[0]["request_id"]), (&"relay".into(), &"12345678".into()));
}
