//! The check of a body's media type and content coding.

use actix_web::{
    HttpMessage as _, HttpRequest,
    http::{
        Method,
        header::{self, HeaderName, HeaderValue},
    },
};

use crate::{ApiError, Code};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const IDENTITY: &str = "identity";

/// Refuses a body that is not JSON in UTF-8, or that is compressed.
pub(super) fn check(request: &HttpRequest) -> Result<(), ApiError> {
    check_type(request)?;
    check_coding(request)
}

fn check_type(request: &HttpRequest) -> Result<(), ApiError> {
    let mut types = request.headers().get_all(header::CONTENT_TYPE);
    let fault = match (types.next(), types.next()) {
        (None, _) => "The request has no Content-Type.",
        (Some(_), Some(_)) => "The request has more than one Content-Type.",
        (Some(_), None) => match request.mime_type() {
            Ok(Some(mime)) if mime.essence_str() != "application/json" => {
                "The Content-Type of the request is not JSON."
            }
            Ok(Some(mime)) if mime.get_param("charset").is_some_and(|charset| charset != "utf-8") => {
                "The charset of the request is not UTF-8."
            }
            Ok(Some(_)) => return Ok(()),
            _ => "The Content-Type of the request is not a media type.",
        },
    };
    let message = format!("{fault} Send the body with Content-Type: application/json.");
    let error = ApiError::new(Code::UnsupportedMediaType, message)
        .with_detail("/header/Content-Type", "must be application/json, in UTF-8")
        // RFC 9110, section 15.5.16.
        .with_header(header::ACCEPT, JSON);
    // Only POST has its own header for this (Linked Data Platform 1.0, section 7.1).
    Err(if request.method() == Method::POST { error.with_header(ACCEPT_POST, JSON) } else { error })
}

/// Names of codings are case-insensitive (RFC 9110, section 8.4.1), and one field can have several.
fn check_coding(request: &HttpRequest) -> Result<(), ApiError> {
    let none = request.headers().get_all(header::CONTENT_ENCODING).all(|value| {
        value.to_str().is_ok_and(|codings| {
            codings
                .split(',')
                .map(|coding| coding.trim_matches([' ', '\t']))
                .all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(IDENTITY))
        })
    });
    if none {
        return Ok(());
    }
    let message = "The request body has a content coding. Send it without Content-Encoding; compressed requests are not supported.";
    Err(ApiError::new(Code::UnsupportedMediaType, message)
        .with_detail("/header/Content-Encoding", "must be absent, or identity")
        // RFC 9110, section 12.5.3.
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static(IDENTITY)))
}
