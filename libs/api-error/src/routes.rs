//! The failures of routing and of actix's own extractors, as routes and handlers of those failures.

use std::borrow::Cow;

use actix_web::{
    HttpRequest, HttpResponse, Route,
    error::PathError,
    http::header::{self, HeaderValue},
    web,
};

use crate::{ApiError, Code, translate};

/// Installs the answers to an unknown path, and to a path that does not parse.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .app_data(
            web::PathConfig::default().error_handler(|error, request| path_error(&error, request).into()),
        )
        .default_service(web::to(async || Err::<HttpResponse, _>(not_found())));
}

/// Makes the default service of a resource: 405, with the methods that it does take.
pub fn method_not_allowed(allow: impl Into<Cow<'static, str>>) -> Route {
    let allow = allow.into();
    web::to(move || {
        let error = wrong_method(&allow);
        async { Err::<HttpResponse, _>(error) }
    })
}

/// Makes the error of a method that a path does not take; `allow` has those that it takes, separated by commas.
pub fn wrong_method(allow: &str) -> ApiError {
    let message = format!("This path takes {allow} only.");
    let allow = HeaderValue::from_str(allow).expect("names of methods are visible ASCII");
    ApiError::new(Code::MethodNotAllowed, message).with_header(header::ALLOW, allow)
}

/// Returns the 404 of an unknown path.
pub fn not_found() -> ApiError {
    ApiError::new(Code::NotFound, translate::NOTHING_HERE)
}

/// A path segment of the wrong type cannot name anything, so it is a 404 like any other unknown name.
fn path_error(error: &PathError, request: &HttpRequest) -> ApiError {
    let not_found = ApiError::new(
        Code::NotFound,
        "There is nothing at this path: a part of it is not a valid identifier.",
    )
    .with_source(error.to_string());
    // actix does not say which part it was; with one there is no doubt.
    let mut parts = request.match_info().iter();
    match (parts.next(), parts.next()) {
        (Some((name, _)), None) => {
            not_found.with_detail(format!("/path/{name}"), "does not have the form of an identifier")
        }
        _ => not_found,
    }
}
