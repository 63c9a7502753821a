//! The errors of routing: unknown path, wrong method, malformed path segment.

use std::borrow::Cow;

use actix_web::{
    HttpRequest, HttpResponse, Route,
    error::PathError,
    http::header::{self, HeaderValue},
    web,
};

use crate::{ApiError, Code, convert};

/// Installs the errors for an unknown path and for a path segment of the wrong type.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .app_data(
            web::PathConfig::default().error_handler(|error, request| path_error(&error, request).into()),
        )
        .default_service(web::to(async || Err::<HttpResponse, _>(not_found())));
}

/// Returns the default service of a resource: 405 with `Allow`.
pub fn method_not_allowed(allow: impl Into<Cow<'static, str>>) -> Route {
    let allow = allow.into();
    web::to(move || {
        let error = wrong_method(&allow);
        async { Err::<HttpResponse, _>(error) }
    })
}

/// Returns the 405 of a path; `allow` has its methods, separated by commas.
pub fn wrong_method(allow: &str) -> ApiError {
    let message = format!("This path supports {allow} only.");
    let allow = HeaderValue::from_str(allow).expect("names of methods are visible ASCII");
    ApiError::new(Code::MethodNotAllowed, message).with_header(header::ALLOW, allow)
}

/// Returns the 404 of an unknown path.
pub fn not_found() -> ApiError {
    ApiError::new(Code::NotFound, convert::UNKNOWN_PATH)
}

/// A path segment of the wrong type is a 404, like any other unknown identifier.
fn path_error(error: &PathError, request: &HttpRequest) -> ApiError {
    let not_found =
        ApiError::new(Code::NotFound, "This path does not exist: a part of it is not a valid identifier.")
            .with_source(error.to_string());
    // actix does not say which segment is wrong; with a single one it is known.
    let mut parts = request.match_info().iter();
    match (parts.next(), parts.next()) {
        (Some((name, _)), None) => {
            not_found.with_detail(format!("/path/{name}"), "is not a valid identifier")
        }
        _ => not_found,
    }
}
