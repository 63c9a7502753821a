//! The mail address of a customer.

use std::str::FromStr;

use derive_more::Debug;
use thiserror::Error;

/// Maximum length of an address (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const MAX_LEN: usize = 254;

/// Maximum length of the part before the `@` (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL_LEN: usize = 64;

/// Maximum length of a label of the domain (RFC 1035, section 2.3.4).
const MAX_LABEL_LEN: usize = 63;

/// A deliverable address: the dot-atom form of RFC 5322, in ASCII.
///
/// Quoted local parts and address literals are legal but refused: customers do not use them, and mail software handles them badly. Personal
/// data, so `Debug` does not show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[debug("EmailAddress(…)")]
pub(crate) struct EmailAddress(String);

/// Why an address is refused. Messages do not repeat the text, because it may be personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidEmailAddress {
    #[error("must not be empty; write a mail address such as name@example.com")]
    Empty,
    #[error("must not contain whitespace or control characters")]
    Blank,
    #[error("must be ASCII; write an international domain in Punycode (xn--…)")]
    NotAscii,
    #[error("must have an @ between the name and the domain")]
    NoAt,
    #[error("must contain only one @")]
    SecondAt,
    #[error("must have a name before the @")]
    NoLocal,
    #[error("must have a domain after the @")]
    NoDomain,
    #[error("must have at most {MAX_LEN} characters")]
    TooLong,
    #[error("must have at most {MAX_LOCAL_LEN} characters before the @")]
    LocalTooLong,
    #[error("must not have a dot at the start or end of the name before the @, or two dots in a row")]
    LocalDots,
    #[error("must contain only letters, digits, dots and !#$%&'*+-/=?^_`{{|}}~ before the @, without quotes")]
    LocalCharacter,
    #[error("must have a domain name after the @, not an IP address in brackets")]
    Literal,
    #[error("must contain only letters, digits, hyphens and dots after the @")]
    DomainCharacter,
    #[error("must have a domain with a dot, such as example.com")]
    NoDot,
    #[error("must not have a dot at the start or end of the domain, or two dots in a row")]
    DomainDots,
    #[error("must have at most {MAX_LABEL_LEN} characters in each part of the domain")]
    LabelTooLong,
    #[error("must not have a hyphen at the start or end of a part of the domain")]
    Hyphen,
}

impl EmailAddress {
    /// Wraps an address that was checked before it was stored.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, InvalidEmailAddress> {
        check_characters(text)?;
        let (local, domain) = text.split_once('@').ok_or(InvalidEmailAddress::NoAt)?;
        if domain.contains('@') {
            return Err(InvalidEmailAddress::SecondAt);
        }
        if text.len() > MAX_LEN {
            return Err(InvalidEmailAddress::TooLong);
        }
        check_local(local)?;
        check_domain(domain)?;
        Ok(Self(text.to_owned()))
    }
}

fn check_characters(text: &str) -> Result<(), InvalidEmailAddress> {
    if text.is_empty() {
        Err(InvalidEmailAddress::Empty)
    } else if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        Err(InvalidEmailAddress::Blank)
    } else if text.is_ascii() {
        Ok(())
    } else {
        Err(InvalidEmailAddress::NotAscii)
    }
}

fn check_local(local: &str) -> Result<(), InvalidEmailAddress> {
    let is_in_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    if local.is_empty() {
        Err(InvalidEmailAddress::NoLocal)
    } else if local.len() > MAX_LOCAL_LEN {
        Err(InvalidEmailAddress::LocalTooLong)
    } else if !local.bytes().all(|byte| byte == b'.' || is_in_atom(byte)) {
        Err(InvalidEmailAddress::LocalCharacter)
    } else if local.split('.').any(str::is_empty) {
        Err(InvalidEmailAddress::LocalDots)
    } else {
        Ok(())
    }
}

fn check_domain(domain: &str) -> Result<(), InvalidEmailAddress> {
    if domain.is_empty() {
        Err(InvalidEmailAddress::NoDomain)
    } else if domain.starts_with('[') {
        Err(InvalidEmailAddress::Literal)
    } else if !domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.') {
        Err(InvalidEmailAddress::DomainCharacter)
    } else if domain.split('.').any(str::is_empty) {
        Err(InvalidEmailAddress::DomainDots)
    } else if !domain.contains('.') {
        Err(InvalidEmailAddress::NoDot)
    } else if domain.split('.').any(|label| label.len() > MAX_LABEL_LEN) {
        Err(InvalidEmailAddress::LabelTooLong)
    } else if domain.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
        Err(InvalidEmailAddress::Hyphen)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidEmailAddress as Invalid, *};

    #[test]
    fn common_addresses_are_accepted() {
        for good in
            ["a@b.example", "first.last+tag@sub.example.org", "o'hara@example.com", "x@xn--bcher-kva.example"]
        {
            assert!(good.parse::<EmailAddress>().is_ok(), "{good}");
        }
    }

    #[test]
    fn an_undeliverable_address_is_refused_with_its_reason() {
        let label = "x".repeat(64);
        let domain = format!("{}.example.com", vec!["x".repeat(63); 3].join("."));
        for (bad, reason) in [
            ("", Invalid::Empty),
            (" a@b.example", Invalid::Blank),
            ("a@b.example\n", Invalid::Blank),
            ("a\u{a0}b@c.example", Invalid::Blank),
            ("a@bücher.example", Invalid::NotAscii),
            ("ada", Invalid::NoAt),
            ("a@b@c.example", Invalid::SecondAt),
            ("@b.example", Invalid::NoLocal),
            ("@", Invalid::NoLocal),
            ("a@", Invalid::NoDomain),
            (&format!("{}@{domain}", "x".repeat(60)), Invalid::TooLong),
            (&format!("{label}x@example.com"), Invalid::LocalTooLong),
            ("\"a\"@b.example", Invalid::LocalCharacter),
            ("a,c@b.example", Invalid::LocalCharacter),
            (".a@b.example", Invalid::LocalDots),
            ("a.@b.example", Invalid::LocalDots),
            ("a..c@b.example", Invalid::LocalDots),
            ("a@[127.0.0.1]", Invalid::Literal),
            ("a@b_c.example", Invalid::DomainCharacter),
            ("a@b", Invalid::NoDot),
            ("a@b..example", Invalid::DomainDots),
            ("a@.example", Invalid::DomainDots),
            ("a@b.example.", Invalid::DomainDots),
            (&format!("a@{label}.example"), Invalid::LabelTooLong),
            ("a@-b.example", Invalid::Hyphen),
            ("a@b-.example", Invalid::Hyphen),
        ] {
            assert_eq!(bad.parse::<EmailAddress>(), Err(reason), "{bad:?}");
        }
    }
}
