//! The form of a host name in DNS.

/// Characters between two dots at most (RFC 1035, section 2.3.4).
const MAX_LABEL_LEN: usize = 63;

/// Characters of a name at most: 255 octets as DNS sends it (RFC 1035, section 2.3.4) are 253 as it is written.
pub(crate) const MAX_LEN: usize = 253;

/// Why no host can have a name. Texts continue what has the name in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidHostName {
    #[error("must not have two dots in a row, or a dot at the start, in its host name")]
    EmptyLabel,
    #[error("must have at most {MAX_LABEL_LEN} characters in each part of its host name, in Punycode")]
    LabelTooLong,
    #[error("must have at most {MAX_LEN} characters in its host name, in Punycode")]
    TooLong,
}

/// Checks a name in ASCII. A dot at its end is the root's, and no fault.
pub(crate) fn check(name: &str) -> Result<(), InvalidHostName> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.split('.').any(str::is_empty) {
        Err(InvalidHostName::EmptyLabel)
    } else if name.split('.').any(|label| label.len() > MAX_LABEL_LEN) {
        Err(InvalidHostName::LabelTooLong)
    } else if name.len() > MAX_LEN {
        Err(InvalidHostName::TooLong)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_limits_of_dns() {
        let label = "x".repeat(63);
        let longest = format!("{}.{}", [label.as_str(); 3].join("."), "x".repeat(61));
        for good in ["a", "a.b", "a.b.", "_dmarc.example", &format!("{label}.example"), &longest] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, reason) in [
            ("", InvalidHostName::EmptyLabel),
            (".", InvalidHostName::EmptyLabel),
            (".a", InvalidHostName::EmptyLabel),
            ("a..b", InvalidHostName::EmptyLabel),
            ("a..", InvalidHostName::EmptyLabel),
            (&format!("{label}x.example"), InvalidHostName::LabelTooLong),
            (&format!("{longest}x"), InvalidHostName::TooLong),
        ] {
            assert_eq!(check(bad), Err(reason), "{bad:?}");
        }
    }
}
