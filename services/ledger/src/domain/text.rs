//! Short texts of clients.

use std::str::FromStr;

use derive_more::Debug;
use thiserror::Error;

/// Name of an account, for people.
pub(crate) type AccountName = Text<200>;

/// Text of the client that says what a transfer is for.
pub(crate) type Reference = Text<140>;

/// One line of 1 to `MAX` characters. It can be personal data, so `Debug` does not show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[debug("Text(…)")]
pub(crate) struct Text<const MAX: usize>(String);

/// Why a text is refused. The messages follow the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidText {
    #[error("must have 1 to {0} characters")]
    Length(usize),
    #[error("must not contain control characters such as line breaks")]
    Control,
}

impl<const MAX: usize> Text<MAX> {
    /// Wraps a text that was checked before it was stored.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        if text.is_empty() || text.chars().count() > MAX {
            Err(InvalidText::Length(MAX))
        } else if text.contains(char::is_control) {
            Err(InvalidText::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_a_length_in_characters_and_no_control_characters() {
        assert!("Œuvre n° 7".parse::<Text<10>>().is_ok());
        for (bad, reason) in [
            ("", InvalidText::Length(10)),
            ("12345678901", InvalidText::Length(10)),
            ("a\nb", InvalidText::Control),
            ("a\0", InvalidText::Control),
        ] {
            assert_eq!(bad.parse::<Text<10>>(), Err(reason), "{bad:?}");
        }
    }
}
