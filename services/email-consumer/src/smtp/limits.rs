//! How long each phase of an exchange with the SMTP server may take (RFC 5321, section 4.5.3.2).
//!
//! Before the final dot the server has nothing, so a limit that is too short costs another attempt and never a copy:
//! those limits are far below the RFC's minutes, which are meant for strangers across the internet, and let a relay of our
//! own that hangs be noticed soon. After the final dot the server may have stored the mail, so that giving up makes a copy:
//! that limit is the RFC's.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;

/// Limits of the phases, in milliseconds.
#[derive(Args, Clone, Debug)]
#[group(skip)]
#[command(about = None, long_about = None)]
#[expect(clippy::struct_field_names, reason = "a field's name is the name of its environment variable")]
pub(crate) struct Limits {
    /// How long a TCP connection to the SMTP server may take, in milliseconds.
    #[arg(long, env, default_value_t = 5_000)]
    pub(crate) smtp_connect_timeout_ms: u64,

    /// How long the SMTP server's greeting and its answer to EHLO may take together, in milliseconds.
    #[arg(long, env, default_value_t = 30_000)]
    pub(crate) smtp_greeting_timeout_ms: u64,

    /// How long the answer to STARTTLS may take, and then the TLS handshake, in milliseconds.
    #[arg(long, env, default_value_t = 10_000)]
    pub(crate) smtp_tls_timeout_ms: u64,

    /// How long the login may take, in milliseconds. A relay may ask a directory meanwhile.
    #[arg(long, env, default_value_t = 30_000)]
    pub(crate) smtp_login_timeout_ms: u64,

    /// How long the answer to MAIL may take, in milliseconds.
    #[arg(long, env, default_value_t = 30_000)]
    pub(crate) smtp_mail_timeout_ms: u64,

    /// How long the answer to RCPT may take, in milliseconds. A relay may look the recipient up meanwhile.
    #[arg(long, env, default_value_t = 60_000)]
    pub(crate) smtp_rcpt_timeout_ms: u64,

    /// How long the answer to DATA may take, in milliseconds.
    #[arg(long, env, default_value_t = 30_000)]
    pub(crate) smtp_data_timeout_ms: u64,

    /// How long the SMTP server may take to receive the text of a mail, in milliseconds.
    #[arg(long, env, default_value_t = 60_000)]
    pub(crate) smtp_transfer_timeout_ms: u64,

    /// How long the answer to a whole mail may take, in milliseconds. Once it is over, the server may have the mail all the
    /// same, and sending it again can make a copy: RFC 5321 asks for 10 minutes.
    #[arg(long, env, default_value_t = 600_000)]
    pub(crate) smtp_final_timeout_ms: u64,
}

impl Limits {
    /// Refuses limits of zero, which would end every attempt.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (name, limit) in [
            ("SMTP_CONNECT_TIMEOUT_MS", self.smtp_connect_timeout_ms),
            ("SMTP_GREETING_TIMEOUT_MS", self.smtp_greeting_timeout_ms),
            ("SMTP_TLS_TIMEOUT_MS", self.smtp_tls_timeout_ms),
            ("SMTP_LOGIN_TIMEOUT_MS", self.smtp_login_timeout_ms),
            ("SMTP_MAIL_TIMEOUT_MS", self.smtp_mail_timeout_ms),
            ("SMTP_RCPT_TIMEOUT_MS", self.smtp_rcpt_timeout_ms),
            ("SMTP_DATA_TIMEOUT_MS", self.smtp_data_timeout_ms),
            ("SMTP_TRANSFER_TIMEOUT_MS", self.smtp_transfer_timeout_ms),
            ("SMTP_FINAL_TIMEOUT_MS", self.smtp_final_timeout_ms),
        ] {
            ensure!(limit > 0, "{name} is 0, so that no mail could be sent; set it above 0");
        }
        Ok(())
    }

    /// The longest that an exchange can take, from connecting to the last answer. With STARTTLS there are two greetings, and the
    /// answer to the command before the handshake.
    pub(crate) fn total(&self) -> Duration {
        self.connect()
            + self.greeting() * 2
            + self.tls() * 2
            + self.login()
            + self.mail()
            + self.rcpt()
            + self.data()
            + self.transfer()
            + self.after_dot()
    }

    pub(super) fn connect(&self) -> Duration {
        Duration::from_millis(self.smtp_connect_timeout_ms)
    }

    pub(super) fn greeting(&self) -> Duration {
        Duration::from_millis(self.smtp_greeting_timeout_ms)
    }

    pub(super) fn tls(&self) -> Duration {
        Duration::from_millis(self.smtp_tls_timeout_ms)
    }

    pub(super) fn login(&self) -> Duration {
        Duration::from_millis(self.smtp_login_timeout_ms)
    }

    pub(super) fn mail(&self) -> Duration {
        Duration::from_millis(self.smtp_mail_timeout_ms)
    }

    pub(super) fn rcpt(&self) -> Duration {
        Duration::from_millis(self.smtp_rcpt_timeout_ms)
    }

    pub(super) fn data(&self) -> Duration {
        Duration::from_millis(self.smtp_data_timeout_ms)
    }

    pub(super) fn transfer(&self) -> Duration {
        Duration::from_millis(self.smtp_transfer_timeout_ms)
    }

    pub(super) fn after_dot(&self) -> Duration {
        Duration::from_millis(self.smtp_final_timeout_ms)
    }
}
