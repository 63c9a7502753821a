//! The failures of routing and of actix's own extractors, as routes and handlers of those failures.

use actix_web::{
    HttpResponse, Route,
    error::{PathError, QueryPayloadError},
    http::header::{self, HeaderValue},
    web,
};

use crate::{ApiError, Code};

/// Installs the answers to an unknown path, and to a path or query that does not parse.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .app_data(web::PathConfig::default().error_handler(|error, _| path_error(&error).into()))
        .app_data(web::QueryConfig::default().error_handler(|error, _| query_error(&error).into()))
        .default_service(web::to(not_found));
}

/// Makes the default service of a resource: 405, with the methods that it does take.
pub fn method_not_allowed(allow: &'static str) -> Route {
    web::to(move || async move {
        let message = format!("This path takes {allow} only.");
        Err::<HttpResponse, _>(
            ApiError::new(Code::MethodNotAllowed, message)
                .with_header(header::ALLOW, HeaderValue::from_static(allow)),
        )
    })
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(Code::NotFound, "There is nothing at this path. Check the path and the version in it."))
}

/// A path segment of the wrong type cannot name anything, so it is a 404 like any other unknown name.
fn path_error(error: &PathError) -> ApiError {
    ApiError::new(Code::NotFound, "There is nothing at this path: a part of it is not a valid identifier.")
        .with_source(error.to_string())
}

fn query_error(error: &QueryPayloadError) -> ApiError {
    ApiError::new(Code::InvalidRequest, "The query parameters do not fit this operation.")
        .with_detail("query", error.to_string())
}
