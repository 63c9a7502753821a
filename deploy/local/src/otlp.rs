//! OTLP/HTTP receiver that forwards spans to Zipkin as Zipkin v2 JSON.
//!
//! The services export OTLP only; Zipkin has its own protocol. In a cluster an OpenTelemetry Collector translates, here this receiver. It
//! stores nothing: it acknowledges spans after Zipkin accepted them, and answers 503 with `Retry-After` until then. It accepts traces in
//! protobuf only.

mod zipkin;

use std::{
    io::Read as _,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
    web,
};
use anyhow::{Context, bail, ensure};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use serde_json::Value;

use crate::{console::print_error, readiness::http_client};

const PROTOBUF: &str = "application/x-protobuf";

/// Limit of a request body, before and after decompression.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Limit of concurrent connections.
const CONNECTION_LIMIT: usize = 64;

/// The Zipkin server, and whether the last request to it failed.
struct Zipkin {
    spans_url: String,
    is_failing: AtomicBool,
}

/// Receives spans on `listen` until a signal ends the program.
pub(crate) async fn serve(listen: SocketAddr, zipkin_url: &str) -> anyhow::Result<()> {
    let zipkin = web::Data::new(Zipkin {
        spans_url: format!("{zipkin_url}/api/v2/spans"),
        is_failing: AtomicBool::new(false),
    });
    let server = HttpServer::new(move || App::new().configure(|config| routes(config, &zipkin)))
        .workers(1)
        .max_connections(CONNECTION_LIMIT)
        .client_request_timeout(Duration::from_secs(5))
        .shutdown_timeout(5)
        .bind(listen)
        .with_context(|| format!("{listen} cannot be bound"))?;
    server.run().await.context("the receiver failed")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a part of the local stack, whose protocol is documented elsewhere"
)]
fn routes(config: &mut web::ServiceConfig, zipkin: &web::Data<Zipkin>) {
    config
        .app_data(web::Data::clone(zipkin))
        .app_data(web::PayloadConfig::new(BODY_LIMIT))
        .route("/v1/traces", web::post().to(receive))
        .route("/health", web::get().to(HttpResponse::Ok));
}

async fn receive(request: HttpRequest, body: web::Bytes, zipkin: web::Data<Zipkin>) -> HttpResponse {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if header(CONTENT_TYPE) != Some(PROTOBUF) {
        return HttpResponse::UnsupportedMediaType().body(format!("send {PROTOBUF}"));
    }
    match decode(&body, header(CONTENT_ENCODING)) {
        Ok(export) => forward(&export, &zipkin).await,
        Err(error) => HttpResponse::BadRequest().body(format!("{error:#}")),
    }
}

fn decode(body: &[u8], encoding: Option<&str>) -> anyhow::Result<ExportTraceServiceRequest> {
    match encoding {
        None | Some("identity") => ExportTraceServiceRequest::decode(body),
        Some("gzip") => ExportTraceServiceRequest::decode(unzip(body)?.as_slice()),
        Some(other) => bail!("content encoding {other} is not supported: send gzip or none"),
    }
    .context("the body is not an ExportTraceServiceRequest")
}

fn unzip(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let limit = u64::try_from(BODY_LIMIT).context("the limit fits into 64 bits")?;
    let mut plain = Vec::new();
    GzDecoder::new(body).take(limit + 1).read_to_end(&mut plain).context("the body is not gzip")?;
    ensure!(plain.len() <= BODY_LIMIT, "the body is larger than {BODY_LIMIT} bytes");
    Ok(plain)
}

async fn forward(export: &ExportTraceServiceRequest, zipkin: &Zipkin) -> HttpResponse {
    let converted = zipkin::convert(export);
    match send(&converted.spans, &zipkin.spans_url).await {
        Ok(()) => {
            if zipkin.is_failing.swap(false, Ordering::Relaxed) {
                print_error("Zipkin accepts spans again");
            }
            received(converted.n_rejected)
        }
        Err(error) => {
            // The exporters retry; one line per outage is enough.
            if !zipkin.is_failing.swap(true, Ordering::Relaxed) {
                print_error(format_args!("Zipkin accepts no spans: {error:#}"));
            }
            HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, "1")).finish()
        }
    }
}

async fn send(spans: &[Value], url: &str) -> anyhow::Result<()> {
    if spans.is_empty() {
        return Ok(());
    }
    let status = http_client().post(url).json(spans).send().await.context("no answer")?.status();
    ensure!(status.is_success(), "it answers {status}");
    Ok(())
}

fn received(n_rejected: i64) -> HttpResponse {
    let partial_success = (n_rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: n_rejected,
        error_message: "spans need a trace id of 16 bytes and a span id of 8".to_owned(),
    });
    let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    HttpResponse::Ok().content_type(PROTOBUF).body(body)
}

#[cfg(test)]
mod tests;
