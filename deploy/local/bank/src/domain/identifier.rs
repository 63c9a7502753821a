//! Identifiers that clients choose: of instructions, and of the accounts in them.

use std::str::FromStr;

use derive_more::Display;
use serde::{Deserialize, Serialize};

const MAX_LEN: usize = 64;

/// 1 to 64 characters of `A-Z a-z 0-9 _ -`.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Identifier(String);

/// The text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {MAX_LEN} characters of A-Z a-z 0-9 _ -")]
pub(crate) struct InvalidIdentifier;

impl Identifier {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Identifier {
    type Error = InvalidIdentifier;

    fn try_from(text: String) -> Result<Self, InvalidIdentifier> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_valid = (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(is_plain);
        if is_valid { Ok(Self(text)) } else { Err(InvalidIdentifier) }
    }
}

impl FromStr for Identifier {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        text.to_owned().try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_a_short_plain_text() {
        for good in ["a", "T-17_b", &"x".repeat(64)] {
            assert_eq!(good.parse::<Identifier>().map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "a.b", "a/b", "é", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Identifier>(), Err(InvalidIdentifier), "{bad:?}");
        }
    }
}
