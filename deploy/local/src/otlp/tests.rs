use std::{
    io::Write as _,
    net::TcpListener,
    sync::{Arc, Mutex},
};

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, SpanKind},
        status::StatusCode,
    },
};
use serde_json::{Value as Json, json};

use super::*;

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

fn export_of(span: Span) -> ExportTraceServiceRequest {
    let resource =
        Resource { attributes: vec![attribute("service.name", text("orders"))], ..Resource::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn span() -> Span {
    Span {
        trace_id: (1..=16).collect(),
        span_id: vec![0xab; 8],
        name: "POST /v1/orders".to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: 1_000_000_000_000,
        end_time_unix_nano: 1_000_002_500_000,
        ..Span::default()
    }
}

fn converted(span: Span) -> Json {
    let converted = zipkin::convert(&export_of(span));
    serde_json::to_value(&converted.spans[0]).unwrap()
}

#[test]
fn a_span_keeps_its_ids_times_kind_and_service() {
    let child = Span { parent_span_id: vec![0xcd; 8], ..span() };
    assert_eq!(
        converted(child),
        json!({
            "traceId": "0102030405060708090a0b0c0d0e0f10",
            "id": "abababababababab",
            "parentId": "cdcdcdcdcdcdcdcd",
            "name": "POST /v1/orders",
            "kind": "SERVER",
            "timestamp": 1_000_000_000,
            "duration": 2500,
            "localEndpoint": { "serviceName": "orders" },
            "annotations": [],
            "tags": {},
        })
    );
}

#[test]
fn a_root_span_has_no_parent_and_an_internal_one_no_kind() {
    let internal = converted(Span {
        parent_span_id: vec![0; 8],
        kind: SpanKind::Internal.into(),
        end_time_unix_nano: span().start_time_unix_nano,
        ..span()
    });
    assert!(internal.get("parentId").is_none());
    assert!(internal.get("kind").is_none());
    assert_eq!(internal["duration"], 1, "0 would mean that the duration is not known");
}

#[test]
fn attributes_of_every_type_become_tags() {
    let array = ArrayValue {
        values: vec![AnyValue { value: Some(text("a")) }, AnyValue { value: Some(Value::IntValue(2)) }],
    };
    let converted = converted(Span {
        attributes: vec![
            attribute("http.route", text("/v1/orders")),
            attribute("http.response.status_code", Value::IntValue(202)),
            attribute("ratio", Value::DoubleValue(0.5)),
            attribute("replayed", Value::BoolValue(true)),
            attribute("list", Value::ArrayValue(array)),
            attribute("raw", Value::BytesValue(vec![0xff, 0])),
        ],
        ..span()
    });
    assert_eq!(
        converted["tags"],
        json!({
            "http.route": "/v1/orders",
            "http.response.status_code": "202",
            "ratio": "0.5",
            "replayed": "true",
            "list": r#"["a",2]"#,
            "raw": "ff00",
        })
    );
}

#[test]
fn an_error_status_becomes_the_error_tag_and_an_ok_one_does_not() {
    let with_status = |code: StatusCode, message: &str| {
        let status = Status { code: code.into(), message: message.to_owned() };
        converted(Span { status: Some(status), ..span() })["tags"].clone()
    };
    assert_eq!(
        with_status(StatusCode::Error, "no connection"),
        json!({ "otel.status_code": "ERROR", "error": "no connection" })
    );
    assert_eq!(with_status(StatusCode::Error, ""), json!({ "otel.status_code": "ERROR", "error": "true" }));
    assert_eq!(with_status(StatusCode::Ok, ""), json!({ "otel.status_code": "OK" }));
    assert_eq!(with_status(StatusCode::Unset, ""), json!({}));
}

#[test]
fn events_become_annotations() {
    let event = Event {
        time_unix_nano: 1_000_001_000_000,
        name: "retry".to_owned(),
        attributes: vec![attribute("attempt", Value::IntValue(2))],
        ..Event::default()
    };
    let converted = converted(Span { events: vec![event], ..span() });
    assert_eq!(
        converted["annotations"],
        json!([{ "timestamp": 1_000_001_000, "value": r#"retry: {"attempt":2}"# }])
    );
}

#[test]
fn a_span_without_usable_ids_is_counted_as_rejected() {
    for broken in [Span { trace_id: vec![0; 16], ..span() }, Span { span_id: vec![1; 4], ..span() }] {
        let converted = zipkin::convert(&export_of(broken));
        assert!(converted.spans.is_empty());
        assert_eq!(converted.n_rejected, 1);
    }
}

/// An HTTP server in the place of Zipkin that records its requests.
struct FakeZipkin {
    url: String,
    bodies: Arc<Mutex<Vec<Json>>>,
}

impl FakeZipkin {
    fn start() -> Self {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&bodies);
        let server = HttpServer::new(move || {
            let notes = web::Data::new(Arc::clone(&notes));
            App::new().app_data(notes).route("/api/v2/spans", web::post().to(note))
        })
        .workers(1)
        .bind(("127.0.0.1", 0))
        .unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        Self { url, bodies }
    }
}

async fn note(body: web::Json<Json>, notes: web::Data<Arc<Mutex<Vec<Json>>>>) -> HttpResponse {
    notes.lock().unwrap().push(body.into_inner());
    HttpResponse::Accepted().finish()
}

/// Posts a body to a receiver in front of the Zipkin at `zipkin_url`.
async fn post(zipkin_url: &str, encoding: Option<&str>, body: Vec<u8>) -> (u16, web::Bytes) {
    let zipkin = web::Data::new(Zipkin {
        spans_url: format!("{zipkin_url}/api/v2/spans"),
        is_failing: AtomicBool::new(false),
    });
    let app = init_service(App::new().configure(|config| routes(config, &zipkin))).await;
    let mut request = TestRequest::post().uri("/v1/traces").insert_header((CONTENT_TYPE, PROTOBUF));
    if let Some(encoding) = encoding {
        request = request.insert_header((CONTENT_ENCODING, encoding));
    }
    let response = call_service(&app, request.set_payload(body).to_request()).await;
    (response.status().as_u16(), read_body(response).await)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[actix_web::test]
async fn plain_and_compressed_exports_reach_zipkin() {
    let zipkin = FakeZipkin::start();
    let plain = export_of(span()).encode_to_vec();

    let (status, body) = post(&zipkin.url, None, plain.clone()).await;
    assert_eq!(status, 200);
    let response = ExportTraceServiceResponse::decode(body).unwrap();
    assert_eq!(response.partial_success, None);
    assert_eq!(post(&zipkin.url, Some("gzip"), gzip(&plain)).await.0, 200);

    let bodies = zipkin.bodies.lock().unwrap();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0][0]["name"], "POST /v1/orders");
    assert_eq!(bodies[0], bodies[1]);
}

#[actix_web::test]
async fn an_exporter_gets_503_while_zipkin_is_down() {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let unreachable = format!("http://127.0.0.1:{port}");
    assert_eq!(post(&unreachable, None, export_of(span()).encode_to_vec()).await.0, 503);
}

#[actix_web::test]
async fn a_body_that_is_no_export_gets_400() {
    let zipkin = FakeZipkin::start();
    assert_eq!(post(&zipkin.url, None, b"nonsense".to_vec()).await.0, 400);
    assert_eq!(post(&zipkin.url, Some("gzip"), b"nonsense".to_vec()).await.0, 400);
    assert_eq!(post(&zipkin.url, Some("br"), Vec::new()).await.0, 400);
    let bomb = gzip(&vec![0; BODY_LIMIT + 1]);
    assert!(bomb.len() < BODY_LIMIT);
    assert_eq!(post(&zipkin.url, Some("gzip"), bomb).await.0, 400);
}
