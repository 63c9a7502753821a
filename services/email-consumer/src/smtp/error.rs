//! Why a mail is not with the SMTP server. Holds codes and no text of the server, which likes to repeat the address.

use super::reply::{Concern, Phase, Reply};

/// What went wrong, as decisions that follow from it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing can be sent there.
    #[error("the customer's address is not a valid mail address")]
    InvalidAddress,
    /// The parts do not make a message.
    #[error("the mail cannot be composed")]
    Malformed(#[source] lettre::error::Error),
    /// The server cannot be reached, or the exchange broke off before the end of the mail: the server does not have it.
    #[error("the SMTP server is unavailable: {0}")]
    Unavailable(&'static str),
    /// The connection is not secured as the settings ask for, so nothing was sent.
    #[error("no secure connection to the SMTP server (SMTP_HOST, SMTP_PORT, SMTP_TLS): {0}")]
    Insecure(&'static str),
    /// The server does not accept our user.
    #[error("the SMTP server refuses the login with {0}; correct SMTP_USER and SMTP_PASSWORD")]
    LoginRefused(u16),
    /// The server has no way to log in that we know.
    #[error(
        "the SMTP server offers neither AUTH PLAIN nor AUTH LOGIN, which SMTP_USER needs; it may offer them on another SMTP_PORT"
    )]
    NoLogin,
    /// The server takes no mail from us, whichever it is.
    #[error("the SMTP server refuses all mails from this client: it answers {0}")]
    TurnedAway(u16),
    /// The server refused this mail.
    #[error("the SMTP server refuses the mail with {}", .0.code)]
    Refused(Reply),
    /// The server refused this mail, or would refuse any.
    #[error("the SMTP server refuses this mail or all mails: it answers {}", .0.code)]
    Unclear(Reply),
    /// The server went on to refuse this mail while it took others.
    #[error("the SMTP server refuses the mail with {} repeatedly and accepts other mails", .0.code)]
    RefusedAlone(Reply),
    /// The address needs an extension (RFC 6531) that the server does not have.
    #[error("the SMTP server does not support addresses with characters outside ASCII (SMTPUTF8)")]
    UnsupportedAddress,
    /// Another process may have the mail, so it was not handed over.
    #[error("the lease ended before the mail was sent")]
    LeaseLost,
    /// The exchange broke off after the end of the mail: the server may have it.
    #[error("outcome unknown, the SMTP server may have the mail: {0}")]
    OutcomeUnknown(&'static str),
}

impl Error {
    /// Whether the same mail will meet the same fate again.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::InvalidAddress | Self::Malformed(_) | Self::UnsupportedAddress | Self::RefusedAlone(_) => {
                true
            }
            Self::Refused(reply) => reply.is_permanent(),
            Self::Unavailable(_)
            | Self::Insecure(_)
            | Self::LoginRefused(_)
            | Self::NoLogin
            | Self::TurnedAway(_)
            | Self::Unclear(_)
            | Self::LeaseLost
            | Self::OutcomeUnknown(_) => false,
        }
    }

    /// Whether the server may have the mail.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown(_))
    }

    /// The name of this kind of failure in spans.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::InvalidAddress => "invalid_address",
            Self::Malformed(_) => "malformed",
            Self::Unavailable(_) => "unavailable",
            Self::Insecure(_) => "insecure",
            Self::LoginRefused(_) => "login_refused",
            Self::NoLogin => "no_login",
            Self::TurnedAway(_) => "turned_away",
            Self::Refused(_) | Self::RefusedAlone(_) => "refused",
            Self::Unclear(_) => "unclear",
            Self::UnsupportedAddress => "unsupported_address",
            Self::LeaseLost => "lease_lost",
            Self::OutcomeUnknown(_) => "outcome_unknown",
        }
    }

    /// What an error of lettre means when the server does not have the whole mail.
    pub(super) fn before_end(phase: Phase, error: &lettre::transport::smtp::Error) -> Self {
        let Some(reply) = Reply::of(error) else {
            return Self::Unavailable(if phase == Phase::Greeting {
                "it cannot be connected to"
            } else {
                "the connection broke before the end of the mail"
            });
        };
        match reply.concern(phase) {
            Concern::Mail => Self::Refused(reply),
            Concern::Either => Self::Unclear(reply),
            Concern::Us if phase == Phase::Login && reply.is_permanent() => Self::LoginRefused(reply.code),
            Concern::Us => Self::TurnedAway(reply.code),
        }
    }

    /// What an error of lettre means when the server may have the whole mail.
    pub(super) fn after_end(error: &lettre::transport::smtp::Error) -> Self {
        match Reply::of(error) {
            Some(_) => Self::before_end(Phase::Message, error),
            None => Self::OutcomeUnknown("the connection broke after the end of the mail"),
        }
    }
}
