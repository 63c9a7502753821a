//! Hosts of targets, and the limits of DNS for host names.

use std::str::FromStr;

use url::Host as UrlHost;

/// Maximum length of a label (RFC 1035, section 2.3.4).
const MAX_LABEL_LEN: usize = 63;

/// Maximum length of a host name: the 255 octets of the wire format (RFC 1035, section 2.3.4) are 253 characters of text.
const MAX_LEN: usize = 253;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidHostName {
    #[error("must not have two dots in a row, or a dot at the start, in its host name")]
    EmptyLabel,
    #[error("must have at most {MAX_LABEL_LEN} characters in each part of its host name, in Punycode")]
    LabelTooLong,
    #[error("must have at most {MAX_LEN} characters in its host name, in Punycode")]
    TooLong,
}

/// A host in normalized form, as in a target: lower case, Punycode, an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidHost {
    #[error("must be a host name or an IP address (IPv6 in brackets), without scheme, port and path")]
    NotAHost,
    #[error(transparent)]
    Name(#[from] InvalidHostName),
}

impl Host {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        // An address can have any number of zeros, so the length of the text is limited before it is parsed.
        if text.chars().count() > MAX_LEN {
            return Err(InvalidHostName::TooLong.into());
        }
        let host = UrlHost::parse(text).or(Err(InvalidHost::NotAHost))?;
        if let UrlHost::Domain(name) = &host {
            check_host_name(name)?;
        }
        // `example.com.` is the same host as `example.com`.
        Ok(Self(host.to_string().trim_end_matches('.').to_owned()))
    }
}

/// Checks the limits of DNS for an ASCII name. A trailing dot, the root, is allowed.
pub(super) fn check_host_name(name: &str) -> Result<(), InvalidHostName> {
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
    fn a_host_is_normalized() {
        for (given, kept) in [
            ("example.com", "example.com"),
            ("Example.COM.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("127.1", "127.0.0.1"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(given.parse(), Ok(Host(kept.to_owned())), "{given}");
        }
    }

    #[test]
    fn a_malformed_host_is_refused_with_its_reason() {
        for bad in
            ["", "a b", "example.com:80", "https://example.com", "example.com/", "a@b", "2001:db8::1", "[::1"]
        {
            assert_eq!(bad.parse::<Host>(), Err(InvalidHost::NotAHost), "{bad:?}");
        }
        let long = format!("{}.example", "ü".repeat(63));
        for (bad, reason) in [
            (".", InvalidHostName::EmptyLabel),
            ("a..b", InvalidHostName::EmptyLabel),
            (&long, InvalidHostName::LabelTooLong),
            (&"x.".repeat(128), InvalidHostName::TooLong),
            (&"0".repeat(254), InvalidHostName::TooLong),
        ] {
            assert_eq!(bad.parse::<Host>(), Err(InvalidHost::Name(reason)), "{bad:?}");
        }
    }

    #[test]
    fn a_host_name_has_the_limits_of_dns() {
        let label = "x".repeat(63);
        let longest = format!("{}.{}", [label.as_str(); 3].join("."), "x".repeat(61));
        for good in ["a", "a.b", "a.b.", "_dmarc.example", &format!("{label}.example"), &longest] {
            assert_eq!(check_host_name(good), Ok(()), "{good}");
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
            assert_eq!(check_host_name(bad), Err(reason), "{bad:?}");
        }
    }
}
