//! The code of a link: its short name.

use std::str::FromStr;

use cursor::TieBreaker;
use derive_more::Display;
use rand::distr::{Alphanumeric, SampleString as _};

/// Length of a random code: 16 letters and digits, 95 bits, which cannot be guessed.
const RANDOM_LEN: usize = 16;

/// 6 to 32 characters of `A-Z a-z 0-9 _ -`. A malformed code needs no lookup.
#[derive(Clone, Debug, Display, PartialEq, Eq, Hash)]
pub(crate) struct Code(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidCode {
    #[error("must have 6 to 32 characters")]
    Length,
    #[error("must contain only the characters A-Z, a-z, 0-9, _ and -")]
    Character,
}

impl Code {
    pub(crate) fn random() -> Self {
        Self(Alphanumeric.sample_string(&mut rand::rng(), RANDOM_LEN))
    }

    /// Wraps a code that was checked before it was stored.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Code {
    type Err = InvalidCode;

    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
            Err(InvalidCode::Character)
        } else if !(6..=32).contains(&text.len()) {
            Err(InvalidCode::Length)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// Orders links of the same time in a list.
impl TieBreaker for Code {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        String::from_bytes(bytes)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_codes_are_valid_and_distinct() {
        let codes: std::collections::BTreeSet<String> =
            (0..1_000).map(|_| Code::random().to_string()).collect();
        assert_eq!(codes.len(), 1_000);
        assert!(codes.iter().all(|code| code.parse::<Code>().is_ok()), "{codes:?}");
    }

    #[test]
    fn a_malformed_code_is_refused_with_its_reason() {
        for good in ["abcdef", "A-b_3456", &"x".repeat(32)] {
            assert_eq!(good.parse::<Code>().map(|code| code.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "abcde", &"x".repeat(33)] {
            assert_eq!(bad.parse::<Code>(), Err(InvalidCode::Length), "{bad:?}");
        }
        for bad in ["abc def", "abc/def", "abc.def", "abcdeé", "abcdef\n"] {
            assert_eq!(bad.parse::<Code>(), Err(InvalidCode::Character), "{bad:?}");
        }
    }
}
