//! Middleware that gives each request a server span and measures it.

use std::time::Instant;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::{Method, StatusCode},
    middleware::{Next, from_fn},
};
use tracing::{Instrument as _, Span, field::Empty};

use crate::{
    metrics::{REQUEST_DURATION, REQUESTS_IN_FLIGHT},
    semconv, trace,
};

/// The status label of a request whose client disconnected before the response.
const CLIENT_CLOSED_REQUEST: &str = "499";

/// Shows the series of a route at zero before its first request.
///
/// A rule can then distinguish "no failures" from "not measured", and Prometheus sees the first failure as an increase.
pub fn expect_requests(method: &str, route: &str, statuses: &[&str]) {
    for status in statuses {
        REQUEST_DURATION.with_label_values(&[method, route, status]);
    }
}

/// Returns the middleware that gives each request a server span and measures it. Wrap it last: the outermost middleware sees the
/// response that the client gets.
///
/// `trusts` decides whether a caller's trace is continued, with its sampling decision, and its baggage passed on; it runs for requests with a
/// trace context or baggage only. The span of any other request begins a new trace, linked to the caller's: otherwise every client could have
/// all requests recorded, or none.
pub fn request_telemetry<S, B>(
    trusts: fn(&ServiceRequest) -> bool,
) -> impl Transform<S, ServiceRequest, Response = ServiceResponse<B>, Error = Error, InitError = ()> + 'static
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    from_fn(move |request, next| handle(trusts, request, next))
}

async fn handle<B: MessageBody>(
    trusts: fn(&ServiceRequest) -> bool,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let method = known_method(request.method());
    let route = request.match_pattern();
    let span = server_span(method, route.as_deref());
    trace::receive(&span, request.headers(), || trusts(&request));
    let mut measurement = Measurement::start(method, route);
    async move {
        let outcome = next.call(request).await;
        let status = match &outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        record_status(&Span::current(), status);
        measurement.finish(status);
        outcome
    }
    .instrument(span)
    .await
}

fn server_span(method: &'static str, route: Option<&str>) -> Span {
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    tracing::info_span!(
        "http request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        { semconv::HTTP_REQUEST_METHOD } = method,
        { semconv::HTTP_ROUTE } = route,
        { semconv::HTTP_RESPONSE_STATUS_CODE } = Empty,
        { semconv::ERROR_TYPE } = Empty,
        request_id = Empty,
    )
}

/// Only a 5xx makes a server span an error (semantic conventions for HTTP).
fn record_status(span: &Span, status: StatusCode) {
    span.record(semconv::HTTP_RESPONSE_STATUS_CODE, status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record(semconv::ERROR_TYPE, status.as_str());
    }
}

/// Bounds the label: clients can send any text as a method.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

/// Measures on drop, so that a request of a disconnected client is counted too.
struct Measurement {
    method: &'static str,
    route: Option<String>,
    started: Instant,
    status: Option<StatusCode>,
}

impl Measurement {
    fn start(method: &'static str, route: Option<String>) -> Self {
        REQUESTS_IN_FLIGHT.inc();
        Self { method, route, started: Instant::now(), status: None }
    }

    fn finish(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        REQUESTS_IN_FLIGHT.dec();
        let route = self.route.as_deref().unwrap_or("unmatched");
        let status = self.status.as_ref().map_or(CLIENT_CLOSED_REQUEST, StatusCode::as_str);
        REQUEST_DURATION
            .with_label_values(&[self.method, route, status])
            .observe(self.started.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests;
