//! A customer's mail address.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Characters of an address at most (RFC 5321, 4.5.3.1.3, less the angle brackets).
const MAX_LEN: usize = 254;

/// Characters before the `@` at most (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_LEN: usize = 64;

/// An address that a mail can be sent to: the dot-atom form of RFC 5322, in ASCII.
///
/// Quoted local parts and address literals are legal and refused: nobody's customers have them, and mail software
/// handles them badly. Personal data, so it has no `Debug` output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct EmailAddress(String);

/// The text is no address. It is not repeated: it may be one all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a mail address such as name@example.com")]
pub(crate) struct InvalidEmailAddress;

impl EmailAddress {
    /// Reads an address; `None` when no mail could be sent to it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let valid = text.len() <= MAX_LEN
            && local.len() <= MAX_LOCAL_LEN
            && local.split('.').all(is_atom)
            && domain.contains('.')
            && domain.split('.').all(is_label);
        valid.then(|| Self(text.to_owned()))
    }

    /// Takes an address that was checked before it was stored.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmailAddress;

    fn try_from(text: String) -> Result<Self, InvalidEmailAddress> {
        Self::parse(&text).ok_or(InvalidEmailAddress)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

impl std::fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

fn is_atom(atom: &str) -> bool {
    !atom.is_empty()
        && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_addresses_are_accepted() {
        for good in
            ["a@b.example", "first.last+tag@sub.example.org", "o'hara@example.com", "x@xn--bcher-kva.example"]
        {
            assert!(EmailAddress::parse(good).is_some(), "{good}");
        }
    }

    #[test]
    fn what_cannot_be_mailed_is_refused() {
        let long = format!("{}@example.com", "x".repeat(65));
        for bad in [
            "",
            "@",
            "a@",
            "@b.example",
            "a@b",
            "a b@c.example",
            "a@b..example",
            ".a@b.example",
            "a@-b.example",
            "a\n@b.example",
            &long,
        ] {
            assert!(EmailAddress::parse(bad).is_none(), "{bad:?}");
        }
    }
}
