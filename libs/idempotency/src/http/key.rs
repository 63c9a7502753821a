//! The `Idempotency-Key` header.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use api_error::{ApiError, Code};

/// The header's name.
const HEADER: &str = "Idempotency-Key";

/// Characters at most.
const MAX_LEN: usize = 255;

/// A client's key for one request: 1 to 255 visible ASCII characters, bare or as a structured-field string (RFC 8941).
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Reads the header's value; `None` when it is not a key.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim_matches([' ', '\t']);
        let key = match value.strip_prefix('"') {
            Some(rest) => unescape(rest.strip_suffix('"')?)?,
            None => value.to_owned(),
        };
        let valid = (1..=MAX_LEN).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        valid.then_some(Self(key))
    }

    /// Takes a key that was checked before it was stored.
    pub(crate) fn from_stored(key: String) -> Self {
        Self(key)
    }

    /// The key, without the quotes and escapes of its structured-field form. Keep it out of logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key can be used to see its response, so it stays out of logs.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Undoes the two escapes of a structured-field string; an inner quote or any other escape is an error.
fn unescape(inner: &str) -> Option<String> {
    let mut characters = inner.chars();
    let mut key = String::with_capacity(inner.len());
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => key.push(other),
        }
    }
    Some(key)
}

impl FromRequest for Key {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = request.headers().get_all(HEADER);
        let key = match (values.next(), values.next()) {
            (None, _) => Err(ApiError::new(
                Code::MissingIdempotencyKey,
                "Send an Idempotency-Key header with a value of your own that is unique to this request, such as a UUID; \
                 repeat it when you repeat the request.",
            )),
            (Some(value), None) => value.to_str().ok().and_then(Self::parse).ok_or_else(invalid),
            (Some(_), Some(_)) => Err(invalid()),
        };
        ready(key)
    }
}

fn invalid() -> ApiError {
    ApiError::new(
        Code::InvalidIdempotencyKey,
        "Idempotency-Key must be sent once, as 1 to 255 visible ASCII characters without spaces, bare or in double quotes.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Option<String> {
        Key::parse(value).map(|key| key.0)
    }

    #[test]
    fn bare_and_quoted_forms_are_the_same_key() {
        assert_eq!(parsed("8e03-978e"), Some("8e03-978e".to_owned()));
        assert_eq!(parsed("\"8e03-978e\""), parsed("8e03-978e"));
        assert_eq!(parsed(r#""a\"b\\c""#), Some(r#"a"b\c"#.to_owned()));
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for bad in
            ["", " ", "\"\"", "\"open", "\"a\"b\"", r#""a\n""#, "two words", "schlüssel", &"k".repeat(256)]
        {
            assert_eq!(parsed(bad), None, "{bad:?}");
        }
        assert!(parsed(&"k".repeat(255)).is_some());
    }

    #[test]
    fn a_key_does_not_show_in_debug_output() {
        assert!(!format!("{:?}", Key::parse("secret").unwrap()).contains("secret"));
    }
}
