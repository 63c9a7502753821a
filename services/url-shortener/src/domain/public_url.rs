//! The public URL of this service, and the URLs that reach it.

use std::{net::SocketAddr, str::FromStr};

use derive_more::Display;
use url::{Host, Url};

use super::Code;

#[derive(Clone, Debug, Display, PartialEq, Eq)]
pub(crate) struct PublicUrl(Url);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPublicUrl {
    #[error("it is not a URL")]
    NotAUrl(#[source] url::ParseError),
    #[error("it must be only http or https, a host and an optional port")]
    NotAnOrigin,
}

impl PublicUrl {
    pub(crate) fn short_url(&self, code: &Code) -> String {
        format!("{}{code}", self.0)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Returns whether a URL reaches this service, by its public host or by the socket on which it listens.
    ///
    /// Ignores the scheme: a server usually redirects from one of the two default ports to the other.
    pub(crate) fn is_reached_by(&self, url: &Url, listen_addr: SocketAddr) -> bool {
        let same_host = host_name(url) == host_name(&self.0);
        let same_port = match (self.0.port(), url.port_or_known_default()) {
            (None, Some(80 | 443)) => true,
            (public, port) => public.is_some() && public == port,
        };
        let same_ip = match url.host() {
            Some(Host::Ipv4(ip)) => ip == listen_addr.ip(),
            Some(Host::Ipv6(ip)) => ip.to_canonical() == listen_addr.ip(),
            Some(Host::Domain(_)) | None => false,
        };
        let same_socket =
            (is_loopback(url) || same_ip) && url.port_or_known_default() == Some(listen_addr.port());
        (same_host && same_port) || same_socket
    }
}

/// Returns the host without the trailing dot of a fully qualified name. The parser has lowered its case.
fn host_name(url: &Url) -> Option<&str> {
    url.host_str().map(|host| host.strip_suffix('.').unwrap_or(host))
}

/// Returns whether a URL reaches this machine. On most systems, an unspecified address does so too.
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
        let is_bare = url.as_str().strip_suffix('/') == Some(&url.origin().ascii_serialization());
        let is_origin = matches!(url.scheme(), "http" | "https") && is_bare;
        if is_origin { Ok(Self(url)) } else { Err(InvalidPublicUrl::NotAnOrigin) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_reached(public: &str, target: &str) -> bool {
        let listen_addr = "10.1.2.3:7401".parse().unwrap();
        public.parse::<PublicUrl>().unwrap().is_reached_by(&target.parse().unwrap(), listen_addr)
    }

    #[test]
    fn a_public_url_must_be_an_origin() {
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
    fn a_short_url_is_the_origin_followed_by_the_code() {
        let public: PublicUrl = "https://S.example".parse().unwrap();
        assert_eq!(public.short_url(&"abcdef".parse().unwrap()), "https://s.example/abcdef");
    }

    #[test]
    fn the_public_host_reaches_the_service_with_either_scheme() {
        for target in
            ["https://s.example/x", "http://s.example/x", "http://S.EXAMPLE./x", "http://s.example:443"]
        {
            assert!(is_reached("https://s.example", target), "{target}");
        }
        assert!(is_reached("http://s.example:7401", "https://s.example:7401/x"));
    }

    #[test]
    fn every_spelling_of_the_listening_socket_reaches_the_service() {
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
            assert!(is_reached("https://s.example", &format!("http://{host}:7401/abcdef")), "{host}");
        }
    }

    #[test]
    fn other_urls_do_not_reach_the_service() {
        for target in [
            "https://s.example:8443/",
            "https://t.s.example/",
            "https://s.example.org/",
            "https://example.org/?u=https://s.example/",
            "http://localhost:7400/track/x",
            "http://10.1.2.4:7401/",
        ] {
            assert!(!is_reached("https://s.example", target), "{target}");
        }
    }
}
