//! A response that can be given again.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
};
use api_error::ApiError;
use serde::Serialize;

use super::refusal;

/// Headers that belong to the result and are given again. Others (`Date`, `x-request-id`, trace headers, `Retry-After`)
/// belong to one exchange.
const REPLAYED_HEADERS: &[&str] = &["content-type", "location", "etag"];

/// Tells the client that it sees a first response again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const TRUE: HeaderValue = HeaderValue::from_static("true");

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

    /// A refusal that is the lasting answer to its request: it is stored, and each repetition is refused alike, in the
    /// error shape and with a request id of its own. Its code, message and details are kept, and no other header.
    ///
    /// # Errors
    /// The error itself, when it is none that stays the same: the service's own failure, or one that a retry can cure.
    pub fn refusal(error: ApiError) -> Result<Self, ApiError> {
        let code = error.code();
        if !code.status().is_client_error() || code.retryable() {
            return Err(error);
        }
        Ok(Self { status: code.status().as_u16(), headers: Vec::new(), body: refusal::to_bytes(&error) })
    }

    /// Adds a header; of those that a replay does not repeat, none.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let repeated = REPLAYED_HEADERS.contains(&name);
        debug_assert!(repeated, "{name} is not a header that a replay repeats");
        if repeated {
            self.headers.push((name.to_owned(), value.into()));
        }
        self
    }

    /// Makes the answer. A refusal becomes an error again, so that it is rendered like any other.
    pub(crate) fn into_http(self, replayed: bool) -> Result<HttpResponse, ApiError> {
        if let Some(error) = refusal::from_bytes(self.status, &self.body) {
            return Err(if replayed { error.with_header(REPLAYED, TRUE) } else { error });
        }
        Ok(self.into_success(replayed))
    }

    fn into_success(self, replayed: bool) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                response.insert_header((name, value));
            }
        }
        if replayed {
            response.insert_header((REPLAYED, TRUE));
        }
        response.body(self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api_error::Code;

    #[test]
    fn a_lasting_refusal_comes_back_as_the_error_it_was() {
        let error =
            ApiError::new(Code::Conflict, "The card was declined.").with_detail("/card", "is expired");
        let stored = Response::refusal(error).unwrap();
        assert_eq!(stored.status, 409);

        let again = stored.into_http(true).unwrap_err();
        assert_eq!((again.code(), again.public_message()), (Code::Conflict, "The card was declined."));
        assert_eq!(again.details()[0].pointer, "/card");
    }

    #[test]
    fn what_may_pass_is_no_lasting_refusal() {
        for code in [Code::Unavailable, Code::Internal, Code::RequestInProgress] {
            assert_eq!(Response::refusal(ApiError::new(code, "later")).unwrap_err().code(), code);
        }
    }
}
