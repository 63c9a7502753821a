//! The host that links lead to.

use std::str::FromStr;

use url::Host as UrlHost;

use super::host_name::{self, InvalidHostName};

/// A host in the form in which it stands in a target: lower case, Punycode, an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host(String);

/// Why a text is no host.
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
        // An address can be written with any number of zeros; no text beyond the length of a name is parsed at all.
        if text.chars().count() > host_name::MAX_LEN {
            return Err(InvalidHostName::TooLong.into());
        }
        let host = UrlHost::parse(text).or(Err(InvalidHost::NotAHost))?;
        if let UrlHost::Domain(name) = &host {
            host_name::check(name)?;
        }
        // `example.com.` is the same host as `example.com`.
        Ok(Self(host.to_string().trim_end_matches('.').to_owned()))
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
            assert_eq!(given.parse(), Ok(Host(kept.to_owned())), "{given}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_reason() {
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
}
