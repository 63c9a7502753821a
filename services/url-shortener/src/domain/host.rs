//! The host that links lead to.

use serde::Deserialize;
use url::Host as UrlHost;

/// A host in the form in which it stands in a target: lower case, Punycode, an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Host(String);

/// Characters of a host at most, as DNS has it (RFC 1035), in whatever form it is written.
const MAX_LEN: usize = 253;

/// The text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a host name or an IP address of {MAX_LEN} characters at most, without scheme, port and path"
)]
pub(crate) struct InvalidHost;

impl Host {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Host {
    type Error = InvalidHost;

    fn try_from(text: String) -> Result<Self, InvalidHost> {
        if text.chars().count() > MAX_LEN {
            return Err(InvalidHost);
        }
        let host = UrlHost::parse(&text).or(Err(InvalidHost))?.to_string();
        // `example.com.` is the same host as `example.com`.
        let host = host.trim_end_matches('.');
        if host.is_empty() { Err(InvalidHost) } else { Ok(Self(host.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_form() {
        for (given, kept) in [
            ("example.com", "example.com"),
            ("Example.COM.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("127.1", "127.0.0.1"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(Host::try_from(given.to_owned()), Ok(Host(kept.to_owned())), "{given}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = format!("{}.example", "x".repeat(MAX_LEN));
        for bad in [
            &long,
            "",
            ".",
            "a b",
            "example.com:80",
            "https://example.com",
            "example.com/",
            "a@b",
            "2001:db8::1",
            "[::1",
        ] {
            assert_eq!(Host::try_from(bad.to_owned()), Err(InvalidHost), "{bad:?}");
        }
    }
}
