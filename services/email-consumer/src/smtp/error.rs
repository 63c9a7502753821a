//! Errors of SMTP, and what a refusal means for this mail and for other mails.
//!
//! Errors contain the codes of the server and not its text, because servers often repeat the address in it.

use std::error::Error as _;

use strum::IntoStaticStr;

/// `IntoStaticStr` is the name of the error in spans.
#[derive(Debug, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Error {
    #[error("the customer's address is not a valid mail address")]
    InvalidAddress,
    #[error("the mail cannot be composed")]
    Malformed(#[source] lettre::error::Error),
    /// The server cannot be reached, or the exchange ended before the end of the mail. The server does not have the mail.
    #[error("the SMTP server is unavailable: {0}")]
    Unavailable(&'static str),
    /// The connection is not as secure as the settings require. Nothing was sent.
    #[error("no secure connection to the SMTP server (SMTP_HOST, SMTP_PORT, SMTP_TLS): {0}")]
    Insecure(&'static str),
    #[error("the SMTP server refuses the login with {0}; correct SMTP_USER and SMTP_PASSWORD")]
    LoginRefused(u16),
    #[error(
        "the SMTP server offers neither AUTH PLAIN nor AUTH LOGIN, which SMTP_USER needs; it may offer them on another SMTP_PORT"
    )]
    NoLogin,
    /// The server refuses all mails of this client.
    #[error("the SMTP server refuses all mails from this client: it answers {0}")]
    TurnedAway(u16),
    /// The server refused this mail.
    #[error("the SMTP server refuses the mail with {}", .0.code)]
    Refused(Reply),
    /// The server refused this mail. It may refuse all mails.
    #[error("the SMTP server refuses this mail or all mails: it answers {}", .0.code)]
    Unclear(Reply),
    /// The server refused this mail temporarily while it accepted others.
    #[strum(serialize = "refused")]
    #[error("the SMTP server refuses the mail for now with {} and accepts other mails", .0.code)]
    RefusedForNow(Reply),
    /// The server refused this mail several times while it accepted others.
    #[strum(serialize = "refused")]
    #[error("the SMTP server refuses the mail with {} repeatedly and accepts other mails", .0.code)]
    RefusedAlone(Reply),
    /// The address needs the extension SMTPUTF8 (RFC 6531), which the server does not have.
    #[error("the SMTP server does not support addresses with characters outside ASCII (SMTPUTF8)")]
    UnsupportedAddress,
    /// Another process may send the mail, so this one did not.
    #[error("the lease ended before the mail was sent")]
    LeaseLost,
    /// The exchange ended after the end of the mail. The server may have the mail.
    #[error("outcome unknown, the SMTP server may have the mail: {0}")]
    OutcomeUnknown(&'static str),
}

impl Error {
    /// Returns whether another attempt would fail in the same way.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Refused(reply) => reply.is_permanent(),
            error => matches!(
                error,
                Self::InvalidAddress | Self::Malformed(_) | Self::UnsupportedAddress | Self::RefusedAlone(_)
            ),
        }
    }

    /// Returns whether the server may have the mail.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown(_))
    }

    /// Converts an error of lettre from before the end of the mail.
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
            Concern::Unclear => Self::Unclear(reply),
            Concern::Client if phase == Phase::Login && reply.is_permanent() => {
                Self::LoginRefused(reply.code)
            }
            Concern::Client => Self::TurnedAway(reply.code),
        }
    }

    /// Converts an error of lettre from after the end of the mail.
    pub(super) fn after_end(error: &lettre::transport::smtp::Error) -> Self {
        match Reply::of(error) {
            Some(_) => Self::before_end(Phase::Message, error),
            None => Self::OutcomeUnknown("the connection broke after the end of the mail"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The greeting or EHLO.
    Greeting,
    Login,
    Mail,
    Rcpt,
    /// DATA, before any of the mail was sent.
    Data,
    /// The whole mail.
    Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concern {
    /// This mail.
    Mail,
    /// Every mail of this client: a dependency is down.
    Client,
    /// This mail or every mail. The results of other mails decide.
    Unclear,
}

/// A refusal, without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Three digits (RFC 5321, section 4.2).
    pub(crate) code: u16,
    /// Subject and detail of the enhanced status code (RFC 3463), if the server sent one.
    enhanced: Option<(u16, u16)>,
}

impl Reply {
    /// Returns the refusal in an error; `None` for other errors.
    pub(super) fn of(error: &lettre::transport::smtp::Error) -> Option<Self> {
        let code = error.status()?.into();
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        Some(Self { code, enhanced: enhanced_code(&text) })
    }

    /// Decides what the refusal is about, by its code, its enhanced code (RFC 3463 and the registry of RFC 5248) and its phase.
    ///
    /// - At greeting, login and MAIL, the server does not know the recipient yet. The exception is x.6.7: MAIL announces that the
    ///   recipient's address is not ASCII.
    /// - 421, 454, 500, 502, 503, 521 and 53z are about the connection, the protocol, the server or the login, in every phase.
    /// - x.3.2: the system accepts no mail. x.7.8 to x.7.14 are about the login, x.7.20 to x.7.27 about the sender's domain.
    /// - At RCPT, x.7.2 to x.7.7 and x.7.15 to x.7.19 are about the recipient or the mail. Refusals by an unnamed policy are unclear: x.7.0,
    ///   x.7.1 ("554 5.7.1 Relay access denied", "550 5.7.1 list is closed"), and 550, 553 and 554 without an enhanced code ("550 relay
    ///   not permitted", "550 no such user").
    /// - At the end of the mail, the refusal is about its text.
    pub(super) fn concern(self, phase: Phase) -> Concern {
        let is_of_client = matches!(self.code, 421 | 454 | 500 | 502 | 503 | 521 | 530..=539)
            || matches!(self.enhanced, Some((3, 2) | (7, 8..=14)));
        if phase == Phase::Mail && self.enhanced == Some((6, 7)) {
            return Concern::Mail;
        }
        if is_of_client || matches!(phase, Phase::Greeting | Phase::Login | Phase::Mail) {
            return Concern::Client;
        }
        if phase != Phase::Rcpt {
            return Concern::Mail;
        }
        match self.enhanced {
            Some((7, 2..=7 | 15..=19)) => Concern::Mail,
            Some((7, 20..=27)) => Concern::Client,
            Some((7, _)) => Concern::Unclear,
            None if matches!(self.code, 550 | 553 | 554) => Concern::Unclear,
            _ => Concern::Mail,
        }
    }

    /// Returns whether the server would refuse the same mail again (RFC 5321, section 4.2.1).
    pub(crate) fn is_permanent(self) -> bool {
        (500..=599).contains(&self.code)
    }
}

/// Parses an enhanced status code such as `5.1.1` at the start of a text.
fn enhanced_code(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.split_whitespace().next()?.split('.');
    let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
    let has_class = matches!(class, "2" | "4" | "5") && parts.next().is_none();
    if has_class { Some((subject.parse().ok()?, detail.parse().ok()?)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_classified_by_its_codes_and_its_phase() {
        use Concern::{Client, Unclear};
        use Phase::{Data, Greeting, Login, Mail, Message, Rcpt};
        for (phase, code, text, concern) in [
            (Greeting, 554, "5.7.1 no access", Client),
            (Login, 535, "5.7.8 wrong login", Client),
            (Mail, 550, "5.1.8 sender unknown", Client),
            (Mail, 554, "relay access denied", Client),
            (Mail, 553, "5.6.7 not ASCII", Concern::Mail),
            (Rcpt, 550, "5.1.1 unknown", Concern::Mail),
            (Rcpt, 501, "5.1.3 bad syntax", Concern::Mail),
            (Rcpt, 552, "mailbox full", Concern::Mail),
            (Rcpt, 450, "4.2.1 busy", Concern::Mail),
            (Rcpt, 550, "5.7.2 not on the list", Concern::Mail),
            (Rcpt, 550, "5.7.17 the mailbox has a new owner", Concern::Mail),
            (Rcpt, 554, "5.7.1 relay access denied", Unclear),
            (Rcpt, 550, "5.7.0 policy", Unclear),
            (Rcpt, 451, "4.7.1 greylisted", Unclear),
            (Rcpt, 550, "no such user", Unclear),
            (Rcpt, 550, "relay not permitted", Unclear),
            (Rcpt, 550, "5.7.8 login", Client),
            (Rcpt, 550, "5.7.23 SPF", Client),
            (Rcpt, 530, "5.7.0 STARTTLS first", Client),
            (Rcpt, 503, "5.5.1 MAIL first", Client),
            (Rcpt, 421, "4.3.0 closing", Client),
            (Data, 554, "5.5.1 no valid recipients", Concern::Mail),
            (Data, 503, "5.5.1 RCPT first", Client),
            (Message, 552, "5.3.4 too big", Concern::Mail),
            (Message, 554, "5.7.1 spam", Concern::Mail),
            (Message, 554, "5.3.2 shutting down", Client),
        ] {
            let reply = Reply { code, enhanced: enhanced_code(text) };
            assert_eq!(reply.concern(phase), concern, "{phase:?}: {code} {text}");
        }
    }

    #[test]
    fn an_enhanced_code_has_three_numbers_at_the_start_of_the_text() {
        assert_eq!(enhanced_code("5.1.1 <a@b.example> unknown"), Some((1, 1)));
        for other in ["", "unknown", "5.1 x", "5.1.1.1 x", "9.1.1 x", "127.0.0.1 x", "5.x.1"] {
            assert_eq!(enhanced_code(other), None, "{other}");
        }
    }
}
