//! Where this service is: the origin that people know, and what leads back to it.

use std::{fmt, net::SocketAddr, str::FromStr};

use url::{Host, Url};

use super::Code;

/// The origin under which people reach this service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicUrl(Url);

/// The text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPublicUrl {
    #[error("it is not a URL")]
    NotAUrl(#[source] url::ParseError),
    #[error("it must be http or https, a host and perhaps a port, and nothing more")]
    NotAnOrigin,
}

impl PublicUrl {
    /// Returns the URL that people follow.
    pub(crate) fn short_url(&self, code: &Code) -> String {
        format!("{}{code}", self.0)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Returns whether a URL leads to this service: by the public host, or by the socket it is bound to.
    ///
    /// The scheme does not matter: whatever answers on one of the two default ports usually sends people to the other.
    pub(crate) fn is_home_of(&self, url: &Url, bound: SocketAddr) -> bool {
        let same_host = host_name(url) == host_name(&self.0);
        let same_port = match (self.0.port(), url.port_or_known_default()) {
            (None, Some(80 | 443)) => true,
            (public, port) => public.is_some() && public == port,
        };
        let at_bound_ip = match url.host() {
            Some(Host::Ipv4(ip)) => ip == bound.ip(),
            Some(Host::Ipv6(ip)) => ip.to_canonical() == bound.ip(),
            Some(Host::Domain(_)) | None => false,
        };
        let at_socket =
            (is_loopback(url) || at_bound_ip) && url.port_or_known_default() == Some(bound.port());
        (same_host && same_port) || at_socket
    }
}

/// The host as DNS compares it: without the dot that ends a full name. Case was settled by the parser.
fn host_name(url: &Url) -> Option<&str> {
    url.host_str().map(|host| host.strip_suffix('.').unwrap_or(host))
}

/// Every spelling that reaches this machine itself; an unspecified address does too, on most systems.
fn is_loopback(url: &Url) -> bool {
    let ip = match url.host() {
        Some(Host::Domain(_)) => {
            return host_name(url).is_some_and(|name| name == "localhost" || name.ends_with(".localhost"));
        }
        Some(Host::Ipv4(ip)) => ip.into(),
        Some(Host::Ipv6(ip)) => ip.to_canonical(),
        None => return false,
    };
    ip.is_loopback() || ip.is_unspecified()
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let url = Url::parse(text).map_err(InvalidPublicUrl::NotAUrl)?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        let is_origin = matches!(url.scheme(), "http" | "https") && bare;
        if is_origin { Ok(Self(url)) } else { Err(InvalidPublicUrl::NotAnOrigin) }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_home(public: &str, target: &str) -> bool {
        let bound = "10.1.2.3:7401".parse().unwrap();
        public.parse::<PublicUrl>().unwrap().is_home_of(&target.parse().unwrap(), bound)
    }

    #[test]
    fn only_an_origin_is_a_public_url() {
        for good in ["http://127.0.0.1:7401", "https://s.example", "https://s.example:8443/"] {
            assert!(good.parse::<PublicUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "s.example",
            "ftp://s.example",
            "http://u@s.example",
            "http://s.example/x",
            "http://s.example/?q",
        ] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_short_url_is_the_origin_and_the_code() {
        let public: PublicUrl = "https://S.example".parse().unwrap();
        assert_eq!(public.short_url(&"abcdef".parse().unwrap()), "https://s.example/abcdef");
    }

    #[test]
    fn the_public_host_is_home_whatever_the_scheme() {
        for target in
            ["https://s.example/x", "http://s.example/x", "http://S.EXAMPLE./x", "http://s.example:443"]
        {
            assert!(is_home("https://s.example", target), "{target}");
        }
        assert!(is_home("http://s.example:7401", "https://s.example:7401/x"));
    }

    #[test]
    fn the_bound_socket_is_home_in_every_spelling() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "127.9.9.9",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "10.1.2.3",
            "[::ffff:10.1.2.3]",
        ] {
            assert!(is_home("https://s.example", &format!("http://{host}:7401/abcdef")), "{host}");
        }
    }

    #[test]
    fn everything_else_is_elsewhere() {
        for target in [
            "https://s.example:8443/",
            "https://t.s.example/",
            "https://s.example.org/",
            "https://example.org/?u=https://s.example/",
            "http://localhost:7400/track/x",
            "http://10.1.2.4:7401/",
        ] {
            assert!(!is_home("https://s.example", target), "{target}");
        }
    }
}
