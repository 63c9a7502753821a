//! Settings of TLS clients, and the hosts that need no TLS.

use std::{net::IpAddr, path::PathBuf};

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser},
};

/// Certificate authorities beside those of the system.
#[derive(Args, Clone, Debug, Default)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// PEM files, separated by commas, with certificates of authorities to trust beside those of the system: for servers whose
    /// certificate a private authority signed. Read at start-up.
    #[arg(long, env = "TLS_EXTRA_CA_FILE", value_name = "PATHS", value_delimiter = ',', value_parser = path())]
    pub tls_extra_ca_file: Vec<PathBuf>,
}

/// Accepts an empty path, which clap refuses: an empty variable means no file.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Whether `host`, a name or an address without a port, is this machine.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::Trust;

    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        tls: Config,
    }

    #[test]
    fn an_empty_setting_means_no_file() {
        let settings = Settings::parse_from(["test", "--tls-extra-ca-file", ""]);
        assert!(Trust::load(&settings.tls).is_ok());
    }

    #[test]
    fn only_loopback_addresses_and_localhost_are_loopback() {
        for here in ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in ["", "10.0.0.1", "0.0.0.0", "::", "localhost.example.com", "127.0.0.1.example.com"] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
