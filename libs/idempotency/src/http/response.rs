//! A response that can be given again.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
};
use serde::Serialize;

/// Headers that belong to the result and are given again. Others (`Date`, `x-request-id`, trace headers, `Retry-After`)
/// belong to one exchange.
const REPLAYED_HEADERS: &[&str] = &["content-type", "location", "etag"];

/// Status, headers and body as they are stored and replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A JSON response.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        let body =
            serde_json::to_vec(body).expect("response types have string keys and no failing serializer");
        Self { status, headers: vec![("content-type".to_owned(), "application/json".to_owned())], body }
    }

    /// Adds a header; it must be one that a replay repeats.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        debug_assert!(REPLAYED_HEADERS.contains(&name), "{name} is not a header that a replay repeats");
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn into_http(self, replayed: bool) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                response.insert_header((name, value));
            }
        }
        if replayed {
            response.insert_header(("Idempotent-Replayed", "true"));
        }
        response.body(self.body)
    }
}
