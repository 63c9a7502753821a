//! From bytes to a value, or to an error that says where in the body and what was expected there.
//!
//! serde's texts are good but speak Rust; they are turned into the words of the API here. Where they are not understood
//! they are passed on, shortened: a worse message, never a wrong one.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::{ApiError, Code};

/// The longest message about one place: serde quotes the client's own value, which can be the whole body.
const MAX_MESSAGE_CHARS: usize = 240;

/// Parses a body, which is an object: every request of an API is one, so that members can be added later.
pub(super) fn decode<T: DeserializeOwned>(raw: &[u8]) -> Result<T, ApiError> {
    if raw.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        // serde would take an array for a struct, member by member.
        parse::<IgnoredAny>(raw)?;
        return Err(misfit(String::new(), "expected an object"));
    }
    parse(raw)
}

fn parse<T: DeserializeOwned>(raw: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(raw);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| explain(error.path(), error.inner()))?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn explain(path: &Path, error: &serde_json::Error) -> ApiError {
    match error.classify() {
        Category::Data => mismatch(path, error),
        Category::Io | Category::Syntax | Category::Eof => malformed(error),
    }
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let (line, column) = (error.line(), error.column());
    let reason = without_position(error);
    ApiError::new(
        Code::MalformedJson,
        format!("The request body is not valid JSON: {reason} at line {line}, column {column}."),
    )
}

fn mismatch(path: &Path, error: &serde_json::Error) -> ApiError {
    let reason = without_position(error);
    let mut pointer = pointer(path);
    // serde's path ends at the object; the client looks for the member.
    if let Some(field) = quoted(&reason, "missing field `").or_else(|| quoted(&reason, "duplicate field `")) {
        pointer.push('/');
        pointer.push_str(&escape(field));
    }
    misfit(pointer, &in_api_words(&reason))
}

fn misfit(pointer: String, message: &str) -> ApiError {
    let message: String = message.chars().take(MAX_MESSAGE_CHARS).collect();
    ApiError::new(Code::InvalidRequest, "The request body does not fit this operation. See details.")
        .with_detail(pointer, message)
}

/// Returns serde's text without the position that `serde_json` appends.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

fn quoted<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.strip_prefix(prefix)?.strip_suffix('`')
}

fn pointer(path: &Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", escape(key)),
            Segment::Enum { variant } => format!("/{}", escape(variant)),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// Escapes one reference token (RFC 6901, section 3).
fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// Replaces the names of Rust types at the end of a text by those of JSON.
fn in_api_words(reason: &str) -> String {
    if quoted(reason, "missing field `").is_some() {
        return "is required".to_owned();
    }
    if quoted(reason, "duplicate field `").is_some() {
        return "must be there once only".to_owned();
    }
    let Some((found, expected)) = reason.rsplit_once(", expected ") else {
        return reason.to_owned();
    };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        _ if expected.starts_with("struct ") || expected == "a map" => "an object",
        "a sequence" => "an array",
        other => other,
    };
    format!("{found}, expected {expected}")
}
