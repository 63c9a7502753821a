//! CORS: which origins may call the API from a browser. None by default.

use std::str::FromStr;

use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    http::{
        Method,
        header::{
            self, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
            HeaderValue,
        },
    },
};
use url::Url;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// Request headers that a page may send, besides those that browsers always allow.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, api-version, x-request-id, \
     x-request-deadline-ms, traceparent, tracestate, baggage",
);

/// Response headers that a page may read, besides those that browsers always show.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "etag, location, link, retry-after, idempotent-replayed, deprecation, sunset, x-request-id, accept, accept-post, \
     accept-encoding",
);

/// How long, in seconds, a browser may cache a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// An origin, as browsers send it: scheme, host, and the port unless it is the default of the scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// The text is not an origin as browsers send it.
#[derive(Debug, thiserror::Error)]
#[error(
    "an origin is a scheme and a host in lower case, with a port unless it is the default one, and without a path \
     (https://shop.example); wildcards are not supported, list each origin"
)]
pub struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let exact = url.is_some_and(|url| url.origin().ascii_serialization() == text && !text.contains('*'));
        let value = HeaderValue::from_str(text).ok().filter(|_| exact);
        value.map(Self).ok_or(InvalidOrigin)
    }
}

/// The allowed origins.
///
/// Credentials that the browser adds (cookies) are never allowed: the API takes bearer tokens, which a page sends itself.
#[derive(Clone, Debug)]
pub(super) struct Cors(pub(super) Vec<Origin>);

impl Cors {
    /// Returns the origin of a request, if it is allowed.
    pub(super) fn allowed_origin(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(header::ORIGIN)?;
        self.0.iter().any(|allowed| allowed.0 == *origin).then(|| origin.clone())
    }

    /// Answers the preflight of an allowed origin. Any other preflight gets the response of a server without CORS.
    pub(super) fn preflight(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        let is_preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && self.allowed_origin(request.headers()).is_some();
        is_preflight.then(|| {
            HttpResponse::NoContent()
                .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
                .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS))
                .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE))
                .finish()
        })
    }

    /// Adds the headers with which a page of this origin may read the response. `Vary` tells caches that the response depends on the origin.
    pub(super) fn add_to(&self, headers: &mut HeaderMap, allowed: Option<&HeaderValue>) {
        if !self.0.is_empty() {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exact_origin_is_accepted() {
        for good in ["https://shop.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "shop.example",
            "https://*.example",
            "https://shop.example/",
            "https://Shop.example",
            "https://shop.example:443",
            "https://u@shop.example",
            "ftp://shop.example",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
