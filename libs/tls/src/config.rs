//! The setting of TLS clients.

use std::path::PathBuf;

use clap::Args;

/// Whom to trust beside the authorities of the system.
#[derive(Args, Clone, Debug, Default)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// PEM files, separated by commas, with certificates of authorities to trust beside those of the system: for servers whose
    /// certificate a private authority signed. Read at start-up.
    #[arg(long, env = "TLS_EXTRA_CA_FILE", value_name = "PATHS", value_delimiter = ',')]
    pub tls_extra_ca_file: Vec<PathBuf>,
}
