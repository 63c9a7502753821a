//! The error boundary: middleware that gives each request an id and a deadline, catches panics, and renders every error.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use actix_web::{
    Error, HttpResponse,
    body::{BodySize, EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    error::InternalError,
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::{Next, from_fn},
};
use futures::FutureExt;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    ApiError, Code,
    body::{self, Answer, Occurrence},
    convert, limits, metrics,
};

/// The header that carries the request id, both ways.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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
    let occurrence = Occurrence {
        request_id: request_id(request.headers()),
        path: request.path().to_owned(),
        problem: body::wants_problem(&request),
    };
    tracing::Span::current().record("request_id", &occurrence.request_id);

    let limit = match limits::check_head(&request)
        .and_then(|()| limits::deadline(request.headers(), request_timeout))
    {
        Ok(limit) => limit,
        Err(error) => {
            let response = fresh(report_and_answer(&error, &occurrence), &occurrence);
            return Ok(request.into_response(response).map_into_right_body());
        }
    };

    let at = Instant::now() + limit;
    let handled = async move { next.call(request).await };
    #[cfg(feature = "pg")]
    let handled = pg::deadline::scope(at, handled);
    let handled = AssertUnwindSafe(handled).catch_unwind();
    let answer = match tokio::time::timeout_at(at, handled).await {
        Ok(Ok(Ok(response))) => return Ok(finish(response, &occurrence)),
        Ok(Ok(Err(error))) => answer_to(&error, &occurrence),
        Ok(Err(panic)) => report_and_answer(&from_panic(&*panic), &occurrence),
        Err(_) => report_and_answer(&deadline_exceeded(limit), &occurrence),
    };
    // A response needs the request, which the handler has taken, so the answer goes up as an error.
    let response = fresh(answer, &occurrence);
    let cause = format!("request {} failed with status {}", occurrence.request_id, response.status());
    Err(InternalError::from_response(cause, response).into())
}

/// Makes the response of a request that has none yet.
fn fresh(answer: Answer, occurrence: &Occurrence) -> HttpResponse {
    let mut response = answer.into_response();
    add_id(response.headers_mut(), occurrence);
    response
}

/// Adds the request id to the response, and the envelope to an error without a body.
fn finish<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
    occurrence: &Occurrence,
) -> ServiceResponse<EitherBody<B>> {
    let answer = match response.response().error() {
        Some(error) => Some(answer_to(error, occurrence)),
        None if is_bare_failure(response.response()) => {
            Some(report_and_answer(&convert::from_status(response.status()), occurrence))
        }
        None => None,
    };
    let mut response = match answer {
        Some(answer) => {
            let (request, response) = response.into_parts();
            ServiceResponse::new(request, answer.put_into(response)).map_into_right_body()
        }
        None => response.map_into_left_body(),
    };
    add_id(response.headers_mut(), occurrence);
    response
}

/// Answers to an error of a handler, or of actix.
fn answer_to(error: &Error, occurrence: &Occurrence) -> Answer {
    match error.as_error::<ApiError>() {
        Some(error) => report_and_answer(error, occurrence),
        None => report_and_answer(&convert::from_actix(error), occurrence),
    }
}

/// Returns the client's id when it is well formed, else a new one; a malformed id never reaches the log.
fn request_id(headers: &HeaderMap) -> String {
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_well_formed(id));
    sent.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// 8 to 128 characters of `A-Z a-z 0-9 . _ -`.
fn is_well_formed(id: &str) -> bool {
    (8..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn add_id(headers: &mut HeaderMap, occurrence: &Occurrence) {
    let id = HeaderValue::from_str(&occurrence.request_id).expect("a request id is visible ASCII");
    headers.insert(REQUEST_ID, id);
}

/// Returns whether the response is an error without a body: actix's own 404 and 405, or a handler that returned a status only.
fn is_bare_failure<B: MessageBody>(response: &HttpResponse<B>) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error())
        && matches!(response.body().size(), BodySize::None | BodySize::Sized(0))
        && !response.headers().contains_key(header::CONTENT_TYPE)
}

/// Logs and counts an error, once, and renders it. A 4xx and a shed request are logged at debug only: the first is a fault of the client, and
/// an overload must not flood the log.
fn report_and_answer(error: &ApiError, occurrence: &Occurrence) -> Answer {
    metrics::ERRORS.with_label_values(&[error.code().as_str()]).inc();
    let (code, status, cause) = (error.code().as_str(), error.code().status().as_u16(), error.chain());
    let is_shed = matches!(error.code(), Code::Overloaded | Code::BacklogFull);
    if error.code().status().is_server_error() && !is_shed {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_request_id_is_accepted() {
        assert!(is_well_formed("12345678"));
        assert!(is_well_formed(&"a".repeat(128)));
        for bad in
            ["", "1234567", &"a".repeat(129), "with space", "new\nline!", "quote\"quote", "naïve-naïve"]
        {
            assert!(!is_well_formed(bad), "{bad:?}");
        }
    }
}
