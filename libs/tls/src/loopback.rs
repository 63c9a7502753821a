//! Which hosts are this machine.

use std::net::IpAddr;

/// Whether what is sent to `host`, a name or an address without a port, stays on this machine.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_and_localhost_are_this_machine() {
        for here in ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in ["", "10.0.0.1", "0.0.0.0", "::", "localhost.example.com", "127.0.0.1.example.com"] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
