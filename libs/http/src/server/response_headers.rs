//! Security and CORS headers of every response, errors included.

use std::rc::Rc;

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CROSS_ORIGIN_RESOURCE_POLICY, HeaderMap, HeaderName,
        HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
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
        if let Some(mut response) = self.cors.preflight(&request) {
            self.add_to(response.headers_mut(), origin.as_ref());
            return Ok(request.into_response(response).map_into_right_body());
        }
        match next.call(request).await {
            Ok(mut response) => {
                self.add_to(response.headers_mut(), origin.as_ref());
                Ok(response.map_into_left_body())
            }
            // A `ServiceResponse` needs the request, which the handler has taken, so the response goes up as an error.
            Err(error) => {
                let mut response = error.error_response();
                self.add_to(response.headers_mut(), origin.as_ref());
                Err(InternalError::from_response(error, response).into())
            }
        }
    }

    fn add_to(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        for (name, value) in DEFAULTS {
            if !headers.contains_key(&name) {
                headers.insert(name, value);
            }
        }
        if self.strict_transport {
            headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
        }
        self.cors.add_to(headers, origin);
    }
}
