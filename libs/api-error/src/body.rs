//! The two bodies of an error: the envelope, and RFC 9457 problem details.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use serde::Serialize;

use crate::{ApiError, Code, Detail};

/// The type of an RFC 9457 body.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What an error response has to know about the request that failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Occurrence {
    /// The request id; empty when no [`Edge`](crate::Edge) is installed.
    pub(crate) request_id: String,
    /// The path of the request.
    pub(crate) path: String,
    /// Whether the client asked for problem details.
    pub(crate) problem: bool,
}

#[derive(Serialize)]
struct Envelope<'a> {
    code: Code,
    message: &'a str,
    details: &'a [Detail],
    request_id: &'a str,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: Code,
    request_id: &'a str,
    retryable: bool,
    errors: &'a [Detail],
}

/// A rendered error, ready to be put into a response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: String,
}

impl Answer {
    /// Gives a response the status, headers and body of the error; other headers of the response stay.
    pub(crate) fn put_into<B>(self, mut response: HttpResponse<B>) -> HttpResponse {
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response.set_body(self.body).map_into_boxed_body()
    }
}

impl Occurrence {
    /// Renders an error in the shape that the client asked for.
    pub(crate) fn answer(&self, error: &ApiError) -> Answer {
        let (content_type, body) = if self.problem {
            (PROBLEM_JSON, to_json(&self.problem_details(error)))
        } else {
            ("application/json", to_json(&self.envelope(error)))
        };
        let mut headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::VARY, HeaderValue::from_static("accept")),
        ];
        headers.extend(error.headers());
        Answer { status: error.code().status(), headers, body }
    }

    fn envelope<'a>(&'a self, error: &'a ApiError) -> Envelope<'a> {
        Envelope {
            code: error.code(),
            message: error.public_message(),
            details: error.details(),
            request_id: &self.request_id,
        }
    }

    fn problem_details<'a>(&'a self, error: &'a ApiError) -> Problem<'a> {
        let code = error.code();
        Problem {
            r#type: format!("/problems/{code}"),
            title: code.title(),
            status: code.status().as_u16(),
            detail: error.public_message(),
            instance: &self.path,
            code,
            request_id: &self.request_id,
            retryable: code.retryable(),
            errors: error.details(),
        }
    }
}

fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("strings, numbers and lists of them always serialise")
}
