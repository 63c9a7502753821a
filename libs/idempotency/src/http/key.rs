//! The `Idempotency-Key` header.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use api_error::{ApiError, Code};

const HEADER: &str = "Idempotency-Key";

const MAX_LEN: usize = 255;

// Why a value is no key.
const EMPTY: &str = "must not be empty";
const TOO_LONG: &str = "must have at most 255 characters";
const CHARACTER: &str = "must have only visible ASCII characters, and no blanks";
const QUOTES: &str =
    "must end in a double quote if it begins with one, with \\\" and \\\\ as its only escapes";

/// A client's key for one request: 1 to 255 visible ASCII characters, bare or as a structured-field string (RFC 8941).
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub(super) String);

impl Key {
    /// Reads the header's value.
    ///
    /// # Errors
    /// It is no key; the error says why, and does not repeat it.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        let value = value.trim_matches([' ', '\t']);
        let key = match value.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').and_then(unescape).ok_or(QUOTES)?,
            None => value.to_owned(),
        };
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CHARACTER);
        }
        match key.len() {
            0 => Err(EMPTY),
            1..=MAX_LEN => Ok(Self(key)),
            _ => Err(TOO_LONG),
        }
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
            (Some(value), None) => {
                // What actix does not show as text has characters beyond ASCII.
                let text = value.to_str().or(Err(CHARACTER));
                text.and_then(Self::parse).map_err(invalid)
            }
            (Some(_), Some(_)) => Err(invalid("must be sent once")),
        };
        ready(key)
    }
}

fn invalid(fault: &'static str) -> ApiError {
    ApiError::new(Code::InvalidIdempotencyKey, format!("The Idempotency-Key cannot be used: it {fault}."))
        .with_detail("/header/Idempotency-Key", fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Result<String, &'static str> {
        Key::parse(value).map(|key| key.0)
    }

    #[test]
    fn bare_and_quoted_forms_are_the_same_key() {
        assert_eq!(parsed("8e03-978e"), Ok("8e03-978e".to_owned()));
        assert_eq!(parsed("\"8e03-978e\""), parsed("8e03-978e"));
        assert_eq!(parsed(r#""a\"b\\c""#), Ok(r#"a"b\c"#.to_owned()));
    }

    #[test]
    fn an_invalid_key_is_refused_with_its_reason() {
        for (bad, reason) in [
            ("", EMPTY),
            (" ", EMPTY),
            ("\"\"", EMPTY),
            ("\"", QUOTES),
            ("\"open", QUOTES),
            ("\"a\"b\"", QUOTES),
            (r#""a\n""#, QUOTES),
            ("two words", CHARACTER),
            ("schlüssel", CHARACTER),
            (&"k".repeat(256), TOO_LONG),
        ] {
            assert_eq!(parsed(bad), Err(reason), "{bad:?}");
        }
        assert!(parsed(&"k".repeat(255)).is_ok());
    }

    #[test]
    fn a_key_does_not_show_in_debug_output() {
        assert!(!format!("{:?}", Key::parse("secret").unwrap()).contains("secret"));
    }
}
