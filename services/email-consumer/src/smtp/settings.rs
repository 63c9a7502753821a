//! Settings of the SMTP server, and timeouts of each phase of an exchange (RFC 5321, section 4.5.3.2).

use std::time::Duration;

use anyhow::{bail, ensure};
use clap::{Args, ValueEnum};
use lettre::transport::smtp::authentication::Credentials;
use secrecy::{ExposeSecret as _, SecretString};

/// The port of implicit TLS (RFC 8314, section 7.3).
const SUBMISSIONS_PORT: u16 = 465;

/// The SMTP server and the connection to it.
#[derive(Args, Clone, Debug)]
#[group(skip)]
#[command(about = None, long_about = None)]
#[expect(clippy::struct_field_names, reason = "a field's name is the name of its environment variable")]
pub(crate) struct Server {
    /// Host of the SMTP server, your own relay. With TLS, its certificate must be valid for this name.
    #[arg(long, env)]
    pub(crate) smtp_host: String,

    /// Port of the SMTP server: usually 25 or 587 for `starttls`, 465 for `implicit`.
    #[arg(long, env, default_value_t = 25)]
    pub(crate) smtp_port: u16,

    /// Encryption of the connection. The default is `none` to this machine without a user; otherwise `implicit` on port 465, and `starttls`
    /// on other ports.
    #[arg(long, env, value_enum)]
    pub(crate) smtp_tls: Option<Security>,

    /// User name for AUTH PLAIN or AUTH LOGIN. Needs TLS.
    #[arg(long, env, value_name = "NAME")]
    pub(crate) smtp_user: Option<String>,

    /// Password of the user.
    #[arg(long, env, hide_env_values = true, value_name = "PASSWORD")]
    pub(crate) smtp_password: Option<SecretString>,
}

/// Encryption of a connection. With TLS, the client verifies the certificate and the name of the server before it sends anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Security {
    /// Plaintext.
    None,
    /// TLS by STARTTLS (RFC 3207). A server that does not offer it gets no mail.
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
}

impl Server {
    /// Checks the rules for combinations of settings.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let is_empty = self.smtp_user.as_deref() == Some("")
            || self.smtp_password.as_ref().is_some_and(|password| password.expose_secret().is_empty());
        if self.smtp_user.is_some() != self.smtp_password.is_some() || is_empty {
            bail!("SMTP_USER and SMTP_PASSWORD belong together; set both or neither");
        }
        ensure!(
            self.smtp_user.is_none() || self.security() != Security::None,
            "SMTP_TLS=none would send SMTP_PASSWORD in the clear; set SMTP_TLS to starttls or implicit"
        );
        Ok(())
    }

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

    pub(super) fn credentials(&self) -> Option<Credentials> {
        let (user, password) = (self.smtp_user.as_ref()?, self.smtp_password.as_ref()?);
        Some(Credentials::new(user.clone(), password.expose_secret().to_owned()))
    }
}

/// Timeouts of the phases of an exchange.
///
/// Before the final dot, the server does not have the mail: a timeout that is too short costs one more attempt and no duplicate. These
/// timeouts are far below the minutes of the RFC, which are meant for servers of other organizations, so a relay that hangs is noticed soon.
/// After the final dot, the server may have the mail, and a timeout may cause a duplicate: that timeout is the one of the RFC.
#[derive(Args, Clone, Debug)]
#[group(skip)]
#[command(about = None, long_about = None)]
pub(crate) struct Timeouts {
    /// Timeout of a TCP connection to the SMTP server, in milliseconds.
    #[arg(long = "smtp-connect-timeout-ms", env = "SMTP_CONNECT_TIMEOUT_MS", value_name = "MS", default_value = "5000", value_parser = milliseconds)]
    pub(super) connect: Duration,

    /// Timeout of the greeting of the SMTP server and its answer to EHLO together, in milliseconds.
    #[arg(long = "smtp-greeting-timeout-ms", env = "SMTP_GREETING_TIMEOUT_MS", value_name = "MS", default_value = "30000", value_parser = milliseconds)]
    pub(super) greeting: Duration,

    /// Timeout of the answer to STARTTLS, and again of the TLS handshake, in milliseconds.
    #[arg(long = "smtp-tls-timeout-ms", env = "SMTP_TLS_TIMEOUT_MS", value_name = "MS", default_value = "10000", value_parser = milliseconds)]
    pub(super) tls: Duration,

    /// Timeout of the login, in milliseconds. A relay may query a directory.
    #[arg(long = "smtp-login-timeout-ms", env = "SMTP_LOGIN_TIMEOUT_MS", value_name = "MS", default_value = "30000", value_parser = milliseconds)]
    pub(super) login: Duration,

    /// Timeout of the answer to MAIL, in milliseconds.
    #[arg(long = "smtp-mail-timeout-ms", env = "SMTP_MAIL_TIMEOUT_MS", value_name = "MS", default_value = "30000", value_parser = milliseconds)]
    pub(super) mail: Duration,

    /// Timeout of the answer to RCPT, in milliseconds. A relay may look up the recipient.
    #[arg(long = "smtp-rcpt-timeout-ms", env = "SMTP_RCPT_TIMEOUT_MS", value_name = "MS", default_value = "60000", value_parser = milliseconds)]
    pub(super) rcpt: Duration,

    /// Timeout of the answer to DATA, in milliseconds.
    #[arg(long = "smtp-data-timeout-ms", env = "SMTP_DATA_TIMEOUT_MS", value_name = "MS", default_value = "30000", value_parser = milliseconds)]
    pub(super) data: Duration,

    /// Timeout of the transfer of a mail's text, in milliseconds.
    #[arg(long = "smtp-transfer-timeout-ms", env = "SMTP_TRANSFER_TIMEOUT_MS", value_name = "MS", default_value = "60000", value_parser = milliseconds)]
    pub(super) transfer: Duration,

    /// Timeout of the answer to a whole mail, in milliseconds. After it, the server may have the mail, and the next attempt may make a
    /// duplicate: RFC 5321 requires 10 minutes.
    #[arg(long = "smtp-final-timeout-ms", env = "SMTP_FINAL_TIMEOUT_MS", value_name = "MS", default_value = "600000", value_parser = milliseconds)]
    pub(super) final_answer: Duration,
}

impl Timeouts {
    /// Returns the longest duration of an exchange, from connecting to the last answer. With STARTTLS it has two greetings, and the answer to
    /// STARTTLS before the handshake.
    pub(crate) fn total(&self) -> Duration {
        let Self { connect, greeting, tls, login, mail, rcpt, data, transfer, final_answer } = *self;
        connect + greeting * 2 + tls * 2 + login + mail + rcpt + data + transfer + final_answer
    }
}

fn milliseconds(text: &str) -> Result<Duration, &'static str> {
    let number: u64 =
        text.parse().ok().filter(|number| *number > 0).ok_or("it must be a whole number above 0")?;
    Ok(Duration::from_millis(number))
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
    fn plaintext_is_the_default_only_to_this_machine() {
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
    fn a_password_needs_a_user_and_tls_and_debug_hides_it() {
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

    #[test]
    fn a_timeout_is_a_positive_number_of_milliseconds() {
        assert_eq!(milliseconds("1500"), Ok(Duration::from_millis(1_500)));
        for bad in ["", "0", "-1", "1.5", "5s"] {
            assert!(milliseconds(bad).is_err(), "{bad}");
        }
    }
}
