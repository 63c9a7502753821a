//! The error that handlers return.

use std::{borrow::Cow, error::Error as StdError, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue, RETRY_AFTER},
    },
};
use serde::{Deserialize, Serialize};

use crate::{Code, body::Occurrence};

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// `Retry-After` of a retryable error by default: long enough to limit the load, short enough to wait for.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// One invalid place of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ErrorDetail))]
pub struct Detail {
    /// A JSON pointer (RFC 6901): into the request body, or `/path/`, `/query/` or `/header/` with the name of a parameter.
    #[cfg_attr(feature = "openapi", schema(example = "/lines/0/quantity"))]
    pub pointer: String,
    /// The fault, or what would be valid.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "must be 1 to 1000"))]
    pub message: Cow<'static, str>,
}

/// An error response.
///
/// The client gets the message of a 4xx code. The message of a 5xx code, and every source, goes to the log only.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ApiError(Box<Parts>);

#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
struct Parts {
    code: Code,
    message: Cow<'static, str>,
    details: Vec<Detail>,
    retry_after: Option<Duration>,
    headers: Vec<(HeaderName, HeaderValue)>,
    source: Option<Source>,
    overload: bool,
}

impl ApiError {
    /// Makes an error. The message tells the client what to do.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            code,
            message: message.into(),
            details: Vec::new(),
            retry_after: code.retryable().then_some(DEFAULT_RETRY_AFTER),
            headers: Vec::new(),
            source: None,
            overload: false,
        }))
    }

    /// Makes the 503 of a dependency that is down. Its name goes to the log, not to the client.
    pub fn unavailable(dependency: &str) -> Self {
        Self::new(Code::Unavailable, format!("{dependency} is unavailable"))
    }

    /// Makes the 500 of an unexpected failure.
    pub fn internal(source: impl Into<Source>) -> Self {
        Self::new(Code::Internal, "the request failed").with_source(source)
    }

    /// Adds an invalid place of the request.
    #[must_use]
    pub fn with_detail(mut self, pointer: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.details.push(Detail { pointer: pointer.into(), message: message.into() });
        self
    }

    /// Sets `Retry-After`, rounded up to whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.0.retry_after = Some(retry_after);
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Adds the cause for the log; the client never gets it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Marks the error of a request that waited in vain for a resource that all requests share. Admission control then admits fewer.
    #[must_use]
    pub fn with_overload(mut self) -> Self {
        self.0.overload = true;
        self
    }

    /// Whether the request waited in vain for a resource that all requests share.
    pub fn is_overload(&self) -> bool {
        self.0.overload
    }

    /// Returns the code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the invalid places of the request.
    pub fn details(&self) -> &[Detail] {
        &self.0.details
    }

    /// Returns the message for the client: of a 4xx its own, of a 5xx that of the code.
    pub fn public_message(&self) -> &str {
        if self.0.code.status().is_server_error() { self.0.code.server_message() } else { &self.0.message }
    }

    /// Returns the headers of the response.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        let retry_after = self.0.retry_after.map(|delay| {
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            (RETRY_AFTER, HeaderValue::from(seconds))
        });
        retry_after.into_iter().chain(self.0.headers.iter().cloned())
    }

    /// Returns the message and its chain of sources, joined by colons.
    pub(crate) fn chain(&self) -> String {
        let mut chain = self.0.message.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            next = cause.source();
        }
        chain
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code().status()
    }

    /// Renders without the request. [`error_boundary`](crate::error_boundary) renders again with its id and `Accept`.
    fn error_response(&self) -> HttpResponse {
        Occurrence::default().answer(self).into_response()
    }
}
