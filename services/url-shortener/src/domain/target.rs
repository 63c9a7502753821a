//! Targets of links: absolute URLs in normalized form.

use std::{cell::Cell, net::SocketAddr, str::FromStr, sync::Arc};

use derive_more::Display;
use url::{Host, ParseError, SyntaxViolation, Url};

use super::{
    PublicUrl,
    host::{InvalidHostName, check_host_name},
};

const MAX_LEN: usize = 2048;

/// The target of a link: an absolute URL in normalized form, which is ASCII. Clones share the text.
#[derive(Clone, Debug, Display, PartialEq, Eq)]
pub(crate) struct Target(Arc<str>);

/// A URL from a request that is valid as a target, unless it points to this service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetUrl(Url);

/// Why a target is refused. The texts follow the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTarget {
    #[error("must have at most {MAX_LEN} characters, counted after percent-encoding")]
    TooLong,
    #[error("must not be empty; write an absolute URL such as https://example.com/path")]
    Empty,
    #[error("must not contain control characters such as tabs and line breaks")]
    Control,
    #[error("must not start or end with whitespace")]
    Blank,
    #[error("must be an absolute URL, such as https://example.com/path")]
    NotAbsolute,
    #[error("must start with http:// or https://")]
    Scheme,
    #[error("must have exactly two slashes after http: or https:")]
    Slashes,
    #[error("must not contain a backslash; write a slash")]
    Backslash,
    #[error("must not contain a user name or password")]
    Credentials,
    #[error("must have a host, such as example.com in https://example.com/path")]
    NoHost,
    #[error("must have a host name or an IP address as its host, without spaces and special characters")]
    Host,
    #[error(
        "must have an IPv4 address of four numbers up to 255 as its host, or a name that does not end in a number"
    )]
    Ipv4,
    #[error("must have an IPv6 address between the brackets")]
    Ipv6,
    #[error("must have a port number up to 65535")]
    Port,
    #[error(transparent)]
    HostName(#[from] InvalidHostName),
    #[error("must not point to this service")]
    OwnUrl,
}

impl Target {
    /// Wraps a target that was checked before it was stored.
    pub(crate) fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TargetUrl {
    /// Returns the target, unless it points to the public URL of this service or to `listen_addr`, the socket on which it listens.
    pub(crate) fn into_target(
        self,
        public_url: &PublicUrl,
        listen_addr: SocketAddr,
    ) -> Result<Target, InvalidTarget> {
        if public_url.is_reached_by(&self.0, listen_addr) {
            return Err(InvalidTarget::OwnUrl);
        }
        Ok(Target(self.0.as_str().into()))
    }
}

impl FromStr for TargetUrl {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        if text.len() > MAX_LEN {
            return Err(InvalidTarget::TooLong);
        }
        let url = parse_strictly(text)?;
        if url.as_str().len() > MAX_LEN { Err(InvalidTarget::TooLong) } else { Ok(Self(url)) }
    }
}

/// Refuses URLs that browsers repair: two programs may read such a text differently, and an attacker can use that to bypass a check.
fn parse_strictly(text: &str) -> Result<Url, InvalidTarget> {
    check_characters(text)?;
    let violated = Cell::new(None);
    let credentials = Cell::new(false);
    let on_violation = |violation| match violation {
        SyntaxViolation::EmbeddedCredentials | SyntaxViolation::UnencodedAtSign => credentials.set(true),
        // Harmless: the parser percent-encodes them or keeps them.
        SyntaxViolation::NonUrlCodePoint | SyntaxViolation::PercentDecode => {}
        // A backslash in place of a slash has no violation of its own.
        _ if text.contains('\\') => violated.set(Some(InvalidTarget::Backslash)),
        // The other violations concern `file:` URLs, or characters that were refused above.
        _ => violated.set(Some(InvalidTarget::Slashes)),
    };
    let parsed = Url::options().syntax_violation_callback(Some(&on_violation)).parse(text);
    let url = parsed.map_err(|error| violated.get().unwrap_or_else(|| invalid_target(error)))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(InvalidTarget::Scheme);
    }
    if credentials.get() {
        return Err(InvalidTarget::Credentials);
    }
    if let Some(violated) = violated.get() {
        return Err(violated);
    }
    if let Some(Host::Domain(name)) = url.host() {
        check_host_name(name)?;
    }
    Ok(url)
}

/// RFC 3986 allows none of these characters; the parser would remove or encode them.
fn check_characters(text: &str) -> Result<(), InvalidTarget> {
    if text.is_empty() {
        Err(InvalidTarget::Empty)
    } else if text.contains(char::is_control) {
        Err(InvalidTarget::Control)
    } else if text.trim() != text {
        Err(InvalidTarget::Blank)
    } else {
        Ok(())
    }
}

fn invalid_target(error: ParseError) -> InvalidTarget {
    match error {
        ParseError::EmptyHost => InvalidTarget::NoHost,
        ParseError::InvalidPort => InvalidTarget::Port,
        ParseError::InvalidIpv4Address => InvalidTarget::Ipv4,
        ParseError::InvalidIpv6Address => InvalidTarget::Ipv6,
        ParseError::IdnaError | ParseError::InvalidDomainCharacter => InvalidTarget::Host,
        ParseError::Overflow => InvalidTarget::TooLong,
        _ => InvalidTarget::NotAbsolute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, InvalidTarget> {
        let public_url = "https://s.example".parse().unwrap();
        let listen_addr = "127.0.0.1:7401".parse().unwrap();
        text.parse::<TargetUrl>()?.into_target(&public_url, listen_addr).map(|target| target.to_string())
    }

    #[test]
    fn a_target_is_normalized() {
        for (given, kept) in [
            ("https://example.com", "https://example.com/"),
            ("HTTP://Example.COM:80/A?b=c#d", "http://example.com/A?b=c#d"),
            ("https://example.com/ü and more", "https://example.com/%C3%BC%20and%20more"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https://example.com/50%", "https://example.com/50%"),
            ("http://[2001:db8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
            ("http://localhost:7400/track/x", "http://localhost:7400/track/x"),
            ("https://example.com/a@b", "https://example.com/a@b"),
        ] {
            assert_eq!(parse(given).as_deref(), Ok(kept), "{given}");
        }
    }

    #[test]
    fn the_longest_target_has_2048_characters() {
        let base = "https://example.com/";
        let longest = format!("{base}{}", "x".repeat(2048 - base.len()));
        assert!(parse(&longest).is_ok());
        assert_eq!(parse(&format!("{longest}x")), Err(InvalidTarget::TooLong));
        let grows = format!("{base}{}", "ü".repeat(400));
        assert_eq!(parse(&grows), Err(InvalidTarget::TooLong), "each ü takes six characters");
    }

    #[test]
    fn an_invalid_target_is_refused_with_its_reason() {
        use InvalidTarget::*;
        let label = "x".repeat(64);
        let name = "x.".repeat(150);
        for (bad, reason) in [
            ("", Empty),
            (" ", Blank),
            (" https://example.com", Blank),
            ("https://example.com ", Blank),
            ("https://example.com\u{3000}", Blank),
            ("https://example.com/\n", Control),
            ("https://exam\tple.com", Control),
            ("https://example.com/\r\nSet-Cookie: a=b", Control),
            ("https://example.com/\0", Control),
            ("https://example.com/a\u{1}b", Control),
            ("https://example.com/?\u{7f}", Control),
            ("https://example.com/#\u{85}", Control),
            ("/path", NotAbsolute),
            ("example.com", NotAbsolute),
            ("//example.com/", NotAbsolute),
            ("https:example.com", Slashes),
            ("https:///example.com", Slashes),
            ("https:", Slashes),
            ("https:\\\\example.com", Backslash),
            ("https://example.com/a\\b", Backslash),
            ("https://", NoHost),
            ("https://?q", NoHost),
            ("https://exa mple.com", Host),
            ("https://exa%00mple.com", Host),
            ("https://exa<mple.com", Host),
            ("https://1.2.3.256/", Ipv4),
            ("https://[::1", Ipv6),
            ("https://[::g]/", Ipv6),
            ("https://example.com:99999", Port),
            ("https://example.com:http/", Port),
            ("https://a..b/", HostName(InvalidHostName::EmptyLabel)),
            ("https://.example.com/", HostName(InvalidHostName::EmptyLabel)),
            ("https://example.com../", HostName(InvalidHostName::EmptyLabel)),
            (&format!("https://{label}.example/"), HostName(InvalidHostName::LabelTooLong)),
            (&format!("https://{name}example/"), HostName(InvalidHostName::TooLong)),
        ] {
            assert_eq!(parse(bad), Err(reason), "{bad:?}");
        }
    }

    #[test]
    fn other_schemes_are_refused() {
        for bad in [
            "ftp://example.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "mailto:a@example.com",
            "httpx://example.com",
        ] {
            assert_eq!(parse(bad), Err(InvalidTarget::Scheme), "{bad:?}");
        }
    }

    #[test]
    fn credentials_are_refused() {
        for bad in [
            "https://user@example.com/",
            "https://user:secret@example.com/",
            "https://@example.com/",
            "https://:@example.com/",
            "https://a@b@example.com/",
        ] {
            assert_eq!(parse(bad), Err(InvalidTarget::Credentials), "{bad:?}");
        }
    }

    #[test]
    fn a_target_that_points_to_this_service_is_refused() {
        for bad in
            ["https://s.example/abcdef", "http://s.example/", "http://localhost:7401/", "http://[::1]:7401/x"]
        {
            assert_eq!(parse(bad), Err(InvalidTarget::OwnUrl), "{bad:?}");
        }
    }
}
