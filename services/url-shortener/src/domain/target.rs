//! Where a link may lead.

use std::{cell::Cell, fmt, net::SocketAddr, sync::Arc};

use url::{SyntaxViolation, Url};

use super::PublicUrl;

/// Characters of a target at most, in its normal form.
const MAX_LEN: usize = 2048;

/// An absolute URL in its normal form, which is ASCII, that a link may lead to. Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target(Arc<str>);

/// Why a link may not lead there. Texts continue "target …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTarget {
    #[error("must be at most {MAX_LEN} characters, counted after percent-encoding")]
    TooLong,
    #[error("must be an absolute URL with a host, such as https://example.com/path")]
    NotAUrl,
    #[error("must begin with http:// or https://")]
    Scheme,
    #[error("must not have a user name or password in it")]
    Credentials,
    #[error("must not lead to this service itself")]
    Home,
}

impl Target {
    /// Checks a target. `bound` is the socket on which this service listens: links must not lead there either.
    pub(crate) fn parse(text: &str, home: &PublicUrl, bound: SocketAddr) -> Result<Self, InvalidTarget> {
        if text.len() > MAX_LEN {
            return Err(InvalidTarget::TooLong);
        }
        let url = parse_strictly(text)?;
        if home.is_home_of(&url, bound) {
            return Err(InvalidTarget::Home);
        }
        if url.as_str().len() > MAX_LEN {
            return Err(InvalidTarget::TooLong);
        }
        Ok(Self(url.as_str().into()))
    }

    /// Takes a target that was checked before it was stored.
    pub(crate) fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Refuses what browsers forgive: a text that two readers can understand differently is how checks are deceived.
fn parse_strictly(text: &str) -> Result<Url, InvalidTarget> {
    let ambiguous = Cell::new(false);
    let credentials = Cell::new(false);
    let on_violation = |violation| match violation {
        SyntaxViolation::EmbeddedCredentials | SyntaxViolation::UnencodedAtSign => credentials.set(true),
        // Percent-encoded by the parser, or passed on as they are: harmless either way.
        SyntaxViolation::NonUrlCodePoint | SyntaxViolation::PercentDecode => {}
        _ => ambiguous.set(true),
    };
    let parsed = Url::options().syntax_violation_callback(Some(&on_violation)).parse(text);
    let Ok(url) = parsed else { return Err(InvalidTarget::NotAUrl) };
    if !matches!(url.scheme(), "http" | "https") {
        return Err(InvalidTarget::Scheme);
    }
    if credentials.get() {
        return Err(InvalidTarget::Credentials);
    }
    if ambiguous.get() {
        return Err(InvalidTarget::NotAUrl);
    }
    Ok(url)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, InvalidTarget> {
        let home = "https://s.example".parse().unwrap();
        Target::parse(text, &home, "127.0.0.1:7401".parse().unwrap()).map(|target| target.to_string())
    }

    #[test]
    fn a_target_is_kept_in_its_normal_form() {
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
    fn what_is_no_absolute_url_is_refused() {
        for bad in [
            "",
            " ",
            "/path",
            "example.com",
            "//example.com/",
            "https:",
            "https://",
            "https://?q",
            "https:example.com",
            "https:///example.com",
            "https:\\\\example.com",
            "https://exa mple.com",
            "https://example.com:99999",
            " https://example.com",
            "https://example.com/\n",
            "https://exam\tple.com",
            "https://example.com/a\\b",
            "https://1.2.3.256/",
            "https://[::1",
            "https://exa%00mple.com",
        ] {
            assert_eq!(parse(bad), Err(InvalidTarget::NotAUrl), "{bad:?}");
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
    fn a_link_must_not_lead_back_here() {
        for bad in
            ["https://s.example/abcdef", "http://s.example/", "http://localhost:7401/", "http://[::1]:7401/x"]
        {
            assert_eq!(parse(bad), Err(InvalidTarget::Home), "{bad:?}");
        }
    }
}
