//! From bytes to a value, or to an error that says where in the body and what was expected there.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::{ApiError, Code, misfit};

/// Parses a body, which is an object: every request of an API is one, so that members can be added later.
pub(super) fn decode<T: DeserializeOwned>(raw: &[u8]) -> Result<T, ApiError> {
    if raw.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        // serde would take an array for a struct, member by member.
        parse::<IgnoredAny>(raw)?;
        return Err(refusal(String::new(), "expected an object".to_owned()));
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
    if let Some(field) = misfit::member(&reason) {
        pointer.push('/');
        pointer.push_str(&escape(field));
    }
    refusal(pointer, misfit::in_api_words(&reason))
}

fn refusal(pointer: String, message: String) -> ApiError {
    ApiError::new(Code::InvalidRequest, "The request body does not fit this operation. See details.")
        .with_detail(pointer, message)
}

/// Returns serde's text without the position that `serde_json` appends.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
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
pub(super) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}
