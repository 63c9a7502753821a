//! The export of spans as OTLP, also without a trace store.

use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::probe::{Probe, client, get};

#[tokio::test]
async fn an_unauthenticated_request_starts_a_new_trace_linked_to_the_callers() {
    let (endpoint, mut spans) = collector();
    let settings = [
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let probe = Probe::start(&settings).await;
    let request = client()
        .get(format!("{}/slow/0?secret=x", probe.api))
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(request.send().await.unwrap().status(), 200);

    let (service, span) = tokio::time::timeout(Duration::from_secs(5), spans.recv()).await.unwrap().unwrap();
    assert_eq!(service, "probe");
    assert_eq!(span.name, "GET /slow/{ms}");
    assert_eq!(span.kind, 2, "a server span");
    let trace_id = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    assert!(span.parent_span_id.is_empty() && span.trace_id != trace_id, "{span:?}");
    assert_eq!(span.links[0].trace_id, trace_id);
    assert_eq!(span.links[0].span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(text(&span.attributes, "http.route"), Some("/slow/{ms}".to_owned()));
    assert_eq!(text(&span.attributes, "request_id").map(|id| id.len()), Some(36));
    assert!(!format!("{span:?}").contains("secret"), "{span:?}");
}

#[tokio::test]
async fn queued_spans_are_sent_at_shutdown_with_the_names_of_the_operator() {
    let (endpoint, mut spans) = collector();
    let settings = [
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "60000"),
        ("OTEL_SERVICE_NAME", "renamed"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.version=probe-7"),
    ];
    let probe = Probe::start(&settings).await;
    let (_, metrics) = get(format!("{}/metrics", probe.admin)).await.unwrap();
    assert!(metrics.contains("build_info{service=\"probe\",version=\"probe-7\"} 1"), "{metrics}");
    get(format!("{}/slow/0", probe.api)).await.unwrap();
    probe.signal(Signal::SIGTERM);
    assert_eq!(probe.end().await.code, 0);
    let (service, span) = spans.try_recv().unwrap();
    assert_eq!((service.as_str(), span.name.as_str()), ("renamed", "GET /slow/{ms}"));
}

#[tokio::test]
async fn a_trace_store_outage_logs_one_warning_and_delays_no_request() {
    let settings = [
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let mut probe = Probe::start(&settings).await;
    get(format!("{}/slow/0", probe.api)).await.unwrap();
    probe.wait_for("spans cannot be sent; requests are not affected, traces will be incomplete").await;
    for _ in 0..50 {
        let start = Instant::now();
        assert_eq!(get(format!("{}/slow/0", probe.api)).await.unwrap().0, 200);
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
    let start = Instant::now();
    probe.signal(Signal::SIGTERM);
    let remains = probe.end().await;
    assert_eq!(remains.code, 0);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    let warnings = remains.messages().iter().filter(|message| message.starts_with("spans cannot")).count();
    assert_eq!(warnings, 1, "{:?}", remains.messages());
}

#[tokio::test]
async fn invalid_opentelemetry_settings_are_reported_and_ignored() {
    let settings = [
        ("OTEL_TRACES_EXPORTER", "Otlp"),
        ("OTEL_SDK_DISABLED", "maybe"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "no address at all"),
    ];
    let probe = Probe::start(&settings).await;
    assert_eq!(get(format!("{}/slow/0", probe.api)).await.unwrap().0, 200);
    probe.signal(Signal::SIGTERM);
    let remains = probe.end().await;
    assert_eq!(remains.code, 0);
    let ignored =
        remains.log.iter().filter(|line| line["message"] == "a setting of OpenTelemetry is ignored");
    let ignored: Vec<_> = ignored.map(|line| line["warning"].as_str().unwrap()).collect();
    assert_eq!(ignored.len(), 3, "{ignored:?}");
    for named in ["OTEL_SDK_DISABLED: `maybe`", "OTEL_TRACES_SAMPLER: `xray`", "OTEL_EXPORTER_OTLP_ENDPOINT"]
    {
        assert!(ignored.iter().any(|warning| warning.contains(named)), "{named}: {ignored:?}");
    }
}

/// A trace store that hands on each span it is sent, with the name of its service.
fn collector() -> (String, Receiver<(String, Span)>) {
    let (sender, receiver) = channel(100);
    let server = HttpServer::new(move || {
        App::new().app_data(web::Data::new(sender.clone())).route("/v1/traces", web::post().to(collect))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", server.addrs()[0]);
    tokio::spawn(server.run());
    (endpoint, receiver)
}

async fn collect(sender: web::Data<Sender<(String, Span)>>, body: web::Bytes) -> HttpResponse {
    for resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
        let service = text(&resource.resource.unwrap().attributes, "service.name").unwrap();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            sender.send((service.clone(), span)).await.unwrap();
        }
    }
    HttpResponse::Ok().finish()
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    match attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}
