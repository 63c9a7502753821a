//! The headers that every response has, whatever became of the request.

use std::{
    fmt,
    future::{Ready, ready},
    rc::Rc,
};

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CROSS_ORIGIN_RESOURCE_POLICY, HeaderMap, HeaderName,
            HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
};
use futures::future::LocalBoxFuture;

use crate::cors::Cors;

/// Safe for a response of which nothing is known: it is no page, nobody may keep it, and nobody may look into it. A handler
/// that knows better sets its own.
const DEFAULTS: [(HeaderName, HeaderValue); 6] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// A year. Subdomains of our host are not ours to decide about.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the headers; it goes around everything that can fail.
#[derive(Clone, Debug)]
pub(crate) struct ResponseHeaders {
    pub(crate) cors: Rc<Cors>,
    /// People reach the service over TLS, and are to come back over nothing else.
    pub(crate) strict_transport: bool,
}

/// What one response gets.
#[derive(Clone, Debug)]
struct Additions {
    rules: ResponseHeaders,
    origin: Option<HeaderValue>,
}

impl Additions {
    fn add_to(&self, headers: &mut HeaderMap) {
        for (name, value) in DEFAULTS {
            if !headers.contains_key(&name) {
                headers.insert(name, value);
            }
        }
        if self.rules.strict_transport {
            headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
        }
        self.rules.cors.add_to(headers, self.origin.as_ref());
    }
}

impl<S, B> Transform<S, ServiceRequest> for ResponseHeaders
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = ResponseHeadersService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(ResponseHeadersService { service, rules: self.clone() }))
    }
}

/// The service that [`ResponseHeaders`] makes.
#[derive(Debug)]
pub(crate) struct ResponseHeadersService<S> {
    service: S,
    rules: ResponseHeaders,
}

impl<S, B> Service<ServiceRequest> for ResponseHeadersService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let origin = self.rules.cors.allowed_origin(request.headers());
        let additions = Additions { rules: self.rules.clone(), origin };
        if let Some(mut response) = self.rules.cors.preflight(&request) {
            additions.add_to(response.headers_mut());
            return Box::pin(ready(Ok(request.into_response(response).map_into_right_body())));
        }
        let handled = self.service.call(request);
        Box::pin(async move {
            match handled.await {
                Ok(mut response) => {
                    additions.add_to(response.headers_mut());
                    Ok(response.map_into_left_body())
                }
                Err(error) => Err(Failure { error, additions }.into()),
            }
        })
    }
}

/// A failure without a response (its request is gone, so it could have none), whose response gets the headers when actix
/// makes it.
#[derive(Debug)]
struct Failure {
    error: Error,
    additions: Additions,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.error.as_response_error().status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.error.as_response_error().error_response();
        self.additions.add_to(response.headers_mut());
        response
    }
}
