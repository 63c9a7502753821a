//! Whether a body is JSON at all, and if not, what is wrong with it and where.
//!
//! `serde_json` decides that, without making values: so neither a number beyond a double nor half of a surrogate pair is taken
//! for a fault of the syntax. What it says is for Rust's programmers, and is put into the words of the API here.

use serde::{Deserialize as _, de::IgnoredAny};

use crate::{ApiError, Code};

/// The marks with which a text in UTF-8 or in UTF-16 can begin. RFC 8259, section 8.1, forbids them.
const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe"];

/// Returns the body as text, whose syntax is that of JSON.
pub(super) fn check(raw: &[u8]) -> Result<&str, ApiError> {
    if raw.is_empty() {
        return Err(malformed("The request body is empty. Send a JSON object."));
    }
    if BYTE_ORDER_MARKS.iter().any(|mark| raw.starts_with(mark)) {
        return Err(malformed("The request body begins with a byte order mark. Send UTF-8 without one."));
    }
    let text = std::str::from_utf8(raw).map_err(|error| {
        malformed(format!("The request body is not UTF-8: byte {} is wrong.", error.valid_up_to() + 1))
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    IgnoredAny::deserialize(&mut reader).and_then(|_| reader.end()).map_err(|error| explain(&error))?;
    Ok(text)
}

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(Code::MalformedJson, message)
}

fn explain(error: &serde_json::Error) -> ApiError {
    let (line, column) = (error.line(), error.column());
    let fault = fault(error);
    malformed(format!("The request body is not valid JSON: {fault} at line {line}, column {column}."))
}

/// The words for a fault. One that a later `serde_json` names otherwise gets the last ones, and a test fails.
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
        "expected ident" | "expected value" => "there is no JSON value",
        "invalid escape" => "there is no such escape in JSON",
        "invalid number" => "a number is not written as in JSON",
        "control character (\\u0000-\\u001F) found while parsing a string" => {
            "a control character is not escaped"
        }
        "key must be a string" => "the name of a member is not in double quotes",
        "trailing characters" => "something follows its end",
        _ => "it is not written as in JSON",
    }
}
