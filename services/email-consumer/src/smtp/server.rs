//! Where the SMTP server is, and how it is spoken to.

use anyhow::{bail, ensure};
use clap::{Args, ValueEnum};
use lettre::transport::smtp::authentication::Credentials;
use secrecy::{ExposeSecret as _, SecretString};

/// The port on which TLS begins at once (RFC 8314, section 7.3).
const SUBMISSIONS_PORT: u16 = 465;

/// The settings of the way to the SMTP server.
#[derive(Args, Clone, Debug)]
#[group(skip)]
#[command(about = None, long_about = None)]
#[expect(clippy::struct_field_names, reason = "a field's name is the name of its environment variable")]
pub(crate) struct Server {
    /// Host of the SMTP server that takes our mails, a relay of our own. With TLS, its certificate has to be for this name.
    #[arg(long, env)]
    pub(crate) smtp_host: String,

    /// Port of the SMTP server: mostly 25 or 587 for `starttls`, 465 for `implicit`.
    #[arg(long, env, default_value_t = 25)]
    pub(crate) smtp_port: u16,

    /// How the connection is secured. By default `implicit` on port 465, else `starttls`; and `none` to this machine without a
    /// user.
    #[arg(long, env, value_enum)]
    pub(crate) smtp_tls: Option<Security>,

    /// User of the SMTP server, who logs in with AUTH PLAIN or LOGIN. Needs TLS.
    #[arg(long, env, value_name = "NAME")]
    pub(crate) smtp_user: Option<String>,

    /// Password of that user.
    #[arg(long, env, hide_env_values = true, value_name = "PASSWORD")]
    pub(crate) smtp_password: Option<SecretString>,
}

/// How a connection is secured. With TLS, the server's certificate and name are verified, and nothing is sent before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Security {
    /// Not at all.
    None,
    /// With TLS that the client asks for (RFC 3207). A server that does not offer it gets nothing.
    Starttls,
    /// With TLS from the first byte on (RFC 8314).
    Implicit,
}

impl Server {
    /// Checks the rules that concern more than one of them.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let is_empty = self.smtp_user.as_deref() == Some("")
            || self.smtp_password.as_ref().is_some_and(|password| password.expose_secret().is_empty());
        if self.smtp_user.is_some() != self.smtp_password.is_some() || is_empty {
            bail!("SMTP_USER and SMTP_PASSWORD belong together; set both, or neither");
        }
        ensure!(
            self.smtp_user.is_none() || self.security() != Security::None,
            "SMTP_TLS=none would send SMTP_PASSWORD in the clear; set SMTP_TLS to starttls or implicit"
        );
        Ok(())
    }

    /// How the connection is secured.
    pub(super) fn security(&self) -> Security {
        self.smtp_tls.unwrap_or_else(|| {
            if self.smtp_user.is_none() && tls::is_loopback(&self.smtp_host) {
                Security::None
            } else if self.smtp_port == SUBMISSIONS_PORT {
                Security::Implicit
            } else {
                Security::Starttls
            }
        })
    }

    /// With what to log in, if at all.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        let (user, password) = (self.smtp_user.as_ref()?, self.smtp_password.as_ref()?);
        Some(Credentials::new(user.clone(), password.expose_secret().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Settings {
        #[command(flatten)]
        server: Server,
    }

    const USER: [&str; 4] = ["--smtp-user", "orders", "--smtp-password", "secret"];

    fn server(host: &str, arguments: &[&str]) -> Server {
        Settings::parse_from([&["test", "--smtp-host", host], arguments].concat()).server
    }

    #[test]
    fn plaintext_is_the_default_to_this_machine_only() {
        for (host, arguments, expected) in [
            ("127.0.0.1", &[][..], Security::None),
            ("localhost", &["--smtp-port", "465"], Security::None),
            ("127.0.0.1", &USER, Security::Starttls),
            ("relay", &[], Security::Starttls),
            ("relay", &["--smtp-port", "587"], Security::Starttls),
            ("relay", &["--smtp-port", "465"], Security::Implicit),
            ("relay", &["--smtp-tls", "none"], Security::None),
            ("127.0.0.1", &["--smtp-tls", "implicit"], Security::Implicit),
        ] {
            assert_eq!(server(host, arguments).security(), expected, "{host} {arguments:?}");
        }
    }

    #[test]
    fn a_password_goes_with_a_user_and_over_tls_and_appears_in_no_log() {
        for wrong in [
            &["--smtp-user", "orders"][..],
            &["--smtp-password", "secret"],
            &["--smtp-user", "", "--smtp-password", "secret"],
            &["--smtp-user", "orders", "--smtp-password", ""],
            &[&USER[..], &["--smtp-tls", "none"]].concat(),
        ] {
            assert!(server("relay", wrong).check().is_err(), "{wrong:?}");
        }
        let right = server("relay", &USER);
        right.check().unwrap();
        assert!(!format!("{right:?}{:?}", right.credentials()).contains("secret"));
    }
}
