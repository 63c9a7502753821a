//! The error boundary: middleware that gives each request an id and a deadline, catches panics, and renders every error.

use std::{any::Any, fmt, panic::AssertUnwindSafe, time::Duration};

use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    body::{BodySize, EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::{StatusCode, header},
    middleware::{Next, from_fn},
};
use futures::FutureExt;
use tokio::time::Instant;

use crate::{
    ApiError, Code, RequestId,
    body::{self, Answer, Occurrence},
    convert, limits, metrics, request_id,
};

/// Returns the middleware around an application that makes every failure in it one envelope.
///
/// A handler, its extractors included, that takes longer than `request_timeout`, or than the client's `x-request-deadline-ms`, is dropped and
/// answered with 503 `deadline_exceeded`. With the feature `pg`, database calls end at that deadline (`pg::deadline`).
/// Handlers must be cancel-safe; actix also drops them when a connection is reset.
pub fn error_boundary<S, B>(
    request_timeout: Duration,
) -> impl Transform<S, ServiceRequest, Response = ServiceResponse<EitherBody<B>>, Error = Error, InitError = ()>
+ 'static
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    metrics::show();
    from_fn(move |request, next| handle(request_timeout, request, next))
}

async fn handle<B: MessageBody + 'static>(
    request_timeout: Duration,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let id = RequestId::of(request.headers());
    tracing::Span::current().record("request_id", id.as_str());
    let occurrence = Occurrence {
        request_id: id.to_string(),
        path: request.path().to_owned(),
        problem: body::wants_problem(&request),
    };
    request.extensions_mut().insert(id.clone());

    let limit = match limits::check_head(&request)
        .and_then(|()| limits::deadline(request.headers(), request_timeout))
    {
        Ok(limit) => limit,
        Err(error) => return Ok(refuse(request, &error, &occurrence, &id)),
    };

    let at = Instant::now() + limit;
    let handled = async move { next.call(request).await };
    #[cfg(feature = "pg")]
    let handled = pg::deadline::scope(at, handled);
    let handled = AssertUnwindSafe(handled).catch_unwind();
    // The handler has taken the request, and a response needs one, so a failure goes up as an error that renders itself.
    match tokio::time::timeout_at(at, handled).await {
        Ok(Ok(Ok(response))) => Ok(finish(response, &occurrence, &id)),
        Ok(Ok(Err(error))) => Err(match error.as_error::<ApiError>() {
            Some(error) => Failure::raise(error, &occurrence, id),
            None => Failure::raise(&convert::from_actix(&error), &occurrence, id),
        }),
        Ok(Err(panic)) => Err(Failure::raise(&from_panic(&*panic), &occurrence, id)),
        Err(_) => Err(Failure::raise(&deadline_exceeded(limit), &occurrence, id)),
    }
}

/// Answers a request before its handler.
fn refuse<B: MessageBody + 'static>(
    request: ServiceRequest,
    error: &ApiError,
    occurrence: &Occurrence,
    id: &RequestId,
) -> ServiceResponse<EitherBody<B>> {
    let answer = report_and_answer(error, occurrence);
    let response = answer.put_into(HttpResponse::new(error.code().status()));
    with_id(request.into_response(response).map_into_right_body(), id)
}

/// Adds the request id to the response, and the envelope to an error without a body.
fn finish<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
    occurrence: &Occurrence,
    id: &RequestId,
) -> ServiceResponse<EitherBody<B>> {
    let Some(answer) = answer(response.response(), occurrence) else {
        return with_id(response.map_into_left_body(), id);
    };
    let (request, response) = response.into_parts();
    with_id(ServiceResponse::new(request, answer.put_into(response)).map_into_right_body(), id)
}

/// Returns the envelope of a response that needs one.
fn answer<B: MessageBody>(response: &HttpResponse<B>, occurrence: &Occurrence) -> Option<Answer> {
    if let Some(error) = response.error() {
        return Some(match error.as_error::<ApiError>() {
            Some(error) => report_and_answer(error, occurrence),
            None => report_and_answer(&convert::from_actix(error), occurrence),
        });
    }
    is_bare_failure(response).then(|| report_and_answer(&convert::from_status(response.status()), occurrence))
}

/// Returns whether the response is an error without a body: actix's own 404 and 405, or a handler that returned a status only.
fn is_bare_failure<B: MessageBody>(response: &HttpResponse<B>) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error())
        && matches!(response.body().size(), BodySize::None | BodySize::Sized(0))
        && !response.headers().contains_key(header::CONTENT_TYPE)
}

fn with_id<B>(mut response: ServiceResponse<B>, id: &RequestId) -> ServiceResponse<B> {
    response.headers_mut().insert(request_id::HEADER, id.header_value());
    response
}

/// Logs and counts an error, once, and renders it. A 4xx and a shed request are logged at debug only: the first is a fault of the client, and
/// an overload must not flood the log.
fn report_and_answer(error: &ApiError, occurrence: &Occurrence) -> Answer {
    metrics::ERRORS.with_label_values(&[error.code().as_str()]).inc();
    let (code, status, cause) = (error.code().as_str(), error.code().status().as_u16(), error.chain());
    if error.code().status().is_server_error() && error.code() != Code::Overloaded {
        tracing::error!(code, status, error = cause, "request failed");
    } else {
        tracing::debug!(code, status, error = cause, "request refused");
    }
    occurrence.answer(error)
}

fn deadline_exceeded(limit: Duration) -> ApiError {
    let message = format!("the handler did not answer within {} ms", limit.as_millis());
    ApiError::new(Code::DeadlineExceeded, message)
}

/// The panic hook logs the place; this adds the message to the log line of the request.
fn from_panic(payload: &(dyn Any + Send)) -> ApiError {
    let message = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned());
    ApiError::internal(format!("the handler panicked: {message}"))
}

/// A rendered error without its request: a response needs one, and the handler has taken it.
#[derive(Debug)]
struct Failure {
    answer: Answer,
    id: RequestId,
}

impl Failure {
    fn raise(error: &ApiError, occurrence: &Occurrence, id: RequestId) -> Error {
        Self { answer: report_and_answer(error, occurrence), id }.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {} failed with status {}", self.id, self.answer.status)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.answer.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.answer.clone().put_into(HttpResponse::new(self.answer.status));
        response.headers_mut().insert(request_id::HEADER, self.id.header_value());
        response
    }
}
