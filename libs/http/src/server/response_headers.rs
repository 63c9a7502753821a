//! Security and CORS headers of every response, errors included.

use std::{fmt, rc::Rc};

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CROSS_ORIGIN_RESOURCE_POLICY, HeaderMap, HeaderName,
            HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
};

use super::cors::Cors;

/// Safe defaults: not a page, not cacheable, not readable by other origins. A handler can set its own value of each.
const DEFAULTS: [(HeaderName, HeaderValue); 6] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// One year. Subdomains are not included: other services can own them.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The rules of the process, as middleware around everything that can fail.
#[derive(Clone, Debug)]
pub(super) struct ResponseHeaders {
    pub(super) cors: Rc<Cors>,
    /// Clients reach the service over TLS, and must not use plain HTTP.
    pub(super) strict_transport: bool,
}

impl ResponseHeaders {
    pub(super) async fn handle<B: MessageBody>(
        self,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<EitherBody<B>>, Error> {
        let origin = self.cors.allowed_origin(request.headers());
        let additions = Additions { rules: self, origin };
        if let Some(mut response) = additions.rules.cors.preflight(&request) {
            additions.add_to(response.headers_mut());
            return Ok(request.into_response(response).map_into_right_body());
        }
        match next.call(request).await {
            Ok(mut response) => {
                additions.add_to(response.headers_mut());
                Ok(response.map_into_left_body())
            }
            Err(error) => Err(Failure { error, additions }.into()),
        }
    }
}

/// The headers of one response.
#[derive(Debug)]
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

/// An error without a response yet. Its response gets the headers when actix makes it: a response needs the request, and the handler has
/// taken that.
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
