//! The setting of TLS clients.

use std::path::PathBuf;

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser},
};

/// Whom to trust beside the authorities of the system.
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

/// Takes an empty path too, which clap would refuse: a variable that is set to nothing means that there is none.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
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
    fn a_setting_that_is_empty_is_none() {
        let settings = Settings::parse_from(["test", "--tls-extra-ca-file", ""]);
        assert!(Trust::load(&settings.tls).is_ok());
    }
}
