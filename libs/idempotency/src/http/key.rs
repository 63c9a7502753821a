//! The `Idempotency-Key` header.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use api_error::{ApiError, Code};
use thiserror::Error;

/// The header's name.
const HEADER: &str = "Idempotency-Key";

/// Characters at most.
const MAX_LEN: usize = 255;

/// A client's key for one request: 1 to 255 visible ASCII characters, bare or as a structured-field string (RFC 8941).
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

/// Why a value is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// It has no characters.
    #[error("must not be empty")]
    Empty,
    /// It has more than 255.
    #[error("must have at most {MAX_LEN} characters")]
    TooLong,
    /// A blank, a control character, or one beyond ASCII.
    #[error("must have only visible ASCII characters, and no blanks")]
    Character,
    /// It begins like a structured-field string and is none.
    #[error("must end in a double quote if it begins with one, with \\\" and \\\\ as its only escapes")]
    Quotes,
}

impl Key {
    /// Reads the header's value.
    ///
    /// # Errors
    /// It is no key; the error says why, and does not repeat it.
    pub fn parse(value: &str) -> Result<Self, InvalidKey> {
        let value = value.trim_matches([' ', '\t']);
        let key = match value.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').and_then(unescape).ok_or(InvalidKey::Quotes)?,
            None => value.to_owned(),
        };
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidKey::Character);
        }
        match key.len() {
            0 => Err(InvalidKey::Empty),
            1..=MAX_LEN => Ok(Self(key)),
            _ => Err(InvalidKey::TooLong),
        }
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
            (Some(value), None) => {
                // What actix does not show as text has characters beyond ASCII.
                let text = value.to_str().or(Err(InvalidKey::Character));
                text.and_then(Self::parse).map_err(|fault| invalid(fault.to_string()))
            }
            (Some(_), Some(_)) => Err(invalid("must be sent once".to_owned())),
        };
        ready(key)
    }
}

fn invalid(fault: String) -> ApiError {
    ApiError::new(Code::InvalidIdempotencyKey, format!("The Idempotency-Key cannot be used: it {fault}."))
        .with_detail("/header/Idempotency-Key", fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Result<String, InvalidKey> {
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
            ("", InvalidKey::Empty),
            (" ", InvalidKey::Empty),
            ("\"\"", InvalidKey::Empty),
            ("\"", InvalidKey::Quotes),
            ("\"open", InvalidKey::Quotes),
            ("\"a\"b\"", InvalidKey::Quotes),
            (r#""a\n""#, InvalidKey::Quotes),
            ("two words", InvalidKey::Character),
            ("schlüssel", InvalidKey::Character),
            (&"k".repeat(256), InvalidKey::TooLong),
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
