//! The two bodies of an error: the envelope, and RFC 9457 problem details.

use actix_web::{
    HttpMessage, HttpResponse,
    http::{
        StatusCode,
        header::{self, Accept, HeaderName, HeaderValue, Quality, QualityItem},
    },
    mime::Mime,
};
use serde::Serialize;

use crate::{ApiError, Code, Detail};

/// The type of an RFC 9457 body.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What an error response needs of the request.
#[derive(Default)]
pub(crate) struct Occurrence {
    /// The request id; empty without an [`error_boundary`](crate::error_boundary).
    pub(crate) request_id: String,
    /// The path of the request.
    pub(crate) path: String,
    /// Whether the client requests problem details.
    pub(crate) problem: bool,
}

/// An error, in the shape that a client gets unless it requests problem details.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Error))]
pub(crate) struct Envelope<'a> {
    /// The error for a program.
    code: Code,
    /// The error and what to do about it, for a person. The text may change.
    message: &'a str,
    /// Each invalid place of the request; empty when the error is not about places.
    #[cfg_attr(feature = "openapi", schema(value_type = [Detail]))]
    details: &'a [Detail],
    /// The id of this request in the service's log; the same as in the header `x-request-id`.
    request_id: &'a str,
}

/// An error as RFC 9457 problem details, for a client whose `Accept` names them.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Problem<'a> {
    /// The page of this code.
    #[cfg_attr(feature = "openapi", schema(example = "/problems/invalid_request"))]
    r#type: String,
    /// The same for each error of this code.
    title: &'a str,
    /// The status of the response.
    #[cfg_attr(feature = "openapi", schema(minimum = 400, maximum = 599))]
    status: u16,
    /// The error and what to do about it, for a person. The text may change.
    detail: &'a str,
    /// The path of the request.
    instance: &'a str,
    /// The error for a program.
    code: Code,
    /// The id of this request in the service's log; the same as in the header `x-request-id`.
    request_id: &'a str,
    /// Whether a retry of the same request can succeed.
    retryable: bool,
    /// Each invalid place of the request; empty when the error is not about places.
    #[cfg_attr(feature = "openapi", schema(value_type = [Detail]))]
    errors: &'a [Detail],
}

/// A rendered error, ready to be put into a response.
pub(crate) struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: String,
}

impl Answer {
    pub(crate) fn into_response(self) -> HttpResponse {
        self.put_into(HttpResponse::Ok().finish())
    }

    /// Gives a response the status, headers and body of the error, and keeps its other headers, and a `Retry-After` that it has:
    /// admission control asks for a longer pause than the error.
    pub(crate) fn put_into<B>(self, mut response: HttpResponse<B>) -> HttpResponse {
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            if name == header::VARY {
                // The other values of `Vary` stay.
                add_once(&mut response, name, value);
            } else if name != header::RETRY_AFTER || !response.headers().contains_key(&name) {
                response.headers_mut().insert(name, value);
            }
        }
        response.set_body(self.body).map_into_boxed_body()
    }
}

impl Occurrence {
    /// Renders an error in the shape that the client requests.
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

fn add_once<B>(response: &mut HttpResponse<B>, name: HeaderName, value: HeaderValue) {
    if response.headers().get_all(&name).all(|present| *present != value) {
        response.headers_mut().append(name, value);
    }
}

fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("strings, numbers and lists of them always serialise")
}

/// Returns whether `Accept` names problem details, with at least the quality of plain JSON.
///
/// Wildcards do not count: a client that accepts any type gets the envelope.
pub(crate) fn wants_problem(request: &impl HttpMessage) -> bool {
    let Some(Accept(ranges)) = request.get_header() else { return false };
    let quality = |media_type: &str| {
        let named = |range: &&QualityItem<Mime>| range.item.essence_str() == media_type;
        ranges.iter().rev().find(named).map_or(Quality::ZERO, |range| range.quality)
    };
    let problem = quality(PROBLEM_JSON);
    problem > Quality::ZERO && problem >= quality("application/json")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn accepts(value: &str) -> bool {
        wants_problem(&TestRequest::get().insert_header((header::ACCEPT, value)).to_http_request())
    }

    #[test]
    fn only_a_named_media_type_selects_problem_details() {
        assert!(!wants_problem(&TestRequest::get().to_http_request()));
        assert!(!accepts("*/*"));
        assert!(!accepts("application/*, application/json"));
        assert!(accepts("application/problem+json"));
        assert!(accepts("text/html, Application/Problem+JSON;charset=utf-8"));
    }

    #[test]
    fn the_higher_quality_wins() {
        assert!(accepts("application/json, application/problem+json"));
        assert!(!accepts("application/json, application/problem+json;q=0.5"));
        assert!(accepts("application/json;q=0.1, application/problem+json;q=0.5"));
        assert!(!accepts("application/problem+json;q=0"));
        assert!(!accepts("application/problem+json;q=high"));
    }
}
