//! The check that a body is JSON, with the kind and the place of a fault.
//!
//! `serde_json` checks, without making values: a number out of the range of a double and half of a surrogate pair are valid syntax. This module
//! replaces its messages, which are for Rust programmers, by messages of the API.

use serde_json::value::RawValue;

use crate::{ApiError, Code};

/// Byte order marks of UTF-8 and UTF-16. RFC 8259, section 8.1, forbids them.
const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe"];

/// Returns the body without the whitespace around it, if it is valid JSON.
pub(super) fn check(raw: &[u8]) -> Result<&RawValue, ApiError> {
    if raw.is_empty() {
        return Err(malformed("The request body is empty. Send a JSON object."));
    }
    if BYTE_ORDER_MARKS.iter().any(|mark| raw.starts_with(mark)) {
        return Err(malformed("The request body begins with a byte order mark. Send UTF-8 without one."));
    }
    let text = std::str::from_utf8(raw).map_err(|error| {
        malformed(format!("The request body is not UTF-8: byte {} is invalid.", error.valid_up_to() + 1))
    })?;
    serde_json::from_str(text).map_err(|error| explain(&error))
}

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(Code::MalformedJson, message)
}

fn explain(error: &serde_json::Error) -> ApiError {
    let (line, column) = (error.line(), error.column());
    let fault = fault(error);
    malformed(format!("The request body is not valid JSON: {fault} at line {line}, column {column}."))
}

/// Returns the message for a fault. A fault that a later `serde_json` names differently gets the last one, and a test fails.
fn fault(error: &serde_json::Error) -> &'static str {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position).unwrap_or_default() {
        "EOF while parsing a list"
        | "EOF while parsing an object"
        | "EOF while parsing a string"
        | "EOF while parsing a value" => "it ends too early",
        "expected `:`" => "a colon is missing",
        "expected `,` or `]`" => "a comma or ] is missing",
        "expected `,` or `}`" => "a comma or } is missing",
        "expected ident" | "expected value" => "a JSON value is missing",
        "invalid escape" => "an escape does not exist in JSON",
        "invalid number" => "a number is not valid JSON",
        "control character (\\u0000-\\u001F) found while parsing a string" => {
            "a control character is not escaped"
        }
        "key must be a string" => "the name of a member is not in double quotes",
        "trailing characters" => "it continues after its end",
        _ => "it is not valid JSON",
    }
}
