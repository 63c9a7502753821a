//! What serde says of a value that does not fit, in the words of the API.
//!
//! serde's texts are good but speak Rust. Where they are not understood they are passed on, shortened: a worse message,
//! never a wrong one.

/// The longest message about one place: serde quotes the client's own value, which can be the whole body.
const MAX_MESSAGE_CHARS: usize = 240;

/// Returns the member that serde misses or has twice: its path ends at the object, and the client looks for the member.
pub(crate) fn member(reason: &str) -> Option<&str> {
    quoted(reason, "missing field `").or_else(|| quoted(reason, "duplicate field `"))
}

/// Returns the message for the client.
pub(crate) fn in_api_words(reason: &str) -> String {
    translated(reason).chars().take(MAX_MESSAGE_CHARS).collect()
}

fn quoted<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.strip_prefix(prefix)?.strip_suffix('`')
}

/// Replaces the names of Rust types at the end of a text by those of JSON.
fn translated(reason: &str) -> String {
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
