//! What a refusal says, and whom it concerns: this mail, or every mail alike.

use std::error::Error as _;

/// Where in the exchange the server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The greeting or EHLO.
    Greeting,
    /// AUTH.
    Login,
    /// MAIL: our sender.
    Mail,
    /// RCPT: the recipient.
    Rcpt,
    /// DATA, before any of the mail was sent.
    Data,
    /// The whole mail.
    Message,
}

/// Whom a refusal concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concern {
    /// This mail.
    Mail,
    /// Every mail alike: a dependency is down.
    Us,
    /// One of the two. What becomes of other mails tells which.
    Either,
}

/// A refusal. Its text is not kept, for servers like to repeat the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Three digits (RFC 5321, section 4.2).
    pub(crate) code: u16,
    /// Subject and detail of the enhanced status code (RFC 3463), if there is one.
    enhanced: Option<(u16, u16)>,
}

impl Reply {
    /// Reads the refusal out of an error; `None` when it is something else.
    pub(super) fn of(error: &lettre::transport::smtp::Error) -> Option<Self> {
        let code = error.status()?.into();
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        Some(Self { code, enhanced: enhanced_code(&text) })
    }

    /// Whom it concerns, by its code, its enhanced code (RFC 3463, and the registry of RFC 5248), and where it comes.
    ///
    /// - Greeting, login and MAIL come before the server has seen whose mail it is. The one exception is x.6.7: MAIL says that
    ///   the recipient's address is not ASCII.
    /// - 421, 454, 500, 502, 503, 521 and 53z are about the connection, the protocol, the server and the login, wherever they come.
    /// - x.3.2 is a system that takes no mail. x.7.8 to x.7.14 are about the login, x.7.20 to x.7.27 about our domain.
    /// - At RCPT, x.7.2 to x.7.7 and x.7.15 to x.7.19 are about the recipient or the mail. What says no more than "policy" there can be
    ///   either: x.7.0, x.7.1 ("554 5.7.1 Relay access denied", "550 5.7.1 list is closed") and 550, 553 and 554 without an enhanced code
    ///   ("550 relay not permitted", "550 no such user").
    /// - At the end of the mail, the server has judged its text.
    pub(super) fn concern(self, phase: Phase) -> Concern {
        let is_of_us = matches!(self.code, 421 | 454 | 500 | 502 | 503 | 521 | 530..=539)
            || matches!(self.enhanced, Some((3, 2) | (7, 8..=14)));
        if phase == Phase::Mail && self.enhanced == Some((6, 7)) {
            return Concern::Mail;
        }
        if is_of_us || matches!(phase, Phase::Greeting | Phase::Login | Phase::Mail) {
            return Concern::Us;
        }
        if phase != Phase::Rcpt {
            return Concern::Mail;
        }
        match self.enhanced {
            Some((7, 2..=7 | 15..=19)) => Concern::Mail,
            Some((7, 20..=27)) => Concern::Us,
            Some((7, _)) => Concern::Either,
            None if matches!(self.code, 550 | 553 | 554) => Concern::Either,
            _ => Concern::Mail,
        }
    }

    /// Whether the server says that the same mail will be refused again (RFC 5321, section 4.2.1).
    pub(crate) fn is_permanent(self) -> bool {
        (500..=599).contains(&self.code)
    }
}

/// Reads `5.1.1 ...` at the beginning of a text.
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
    fn whom_a_refusal_concerns_follows_from_its_codes_and_its_place() {
        use Concern::{Either, Us};
        use Phase::{Data, Greeting, Login, Mail, Message, Rcpt};
        for (phase, code, text, concern) in [
            (Greeting, 554, "5.7.1 no access", Us),
            (Login, 535, "5.7.8 wrong login", Us),
            (Mail, 550, "5.1.8 sender unknown", Us),
            (Mail, 554, "relay access denied", Us),
            (Mail, 553, "5.6.7 not ASCII", Concern::Mail),
            (Rcpt, 550, "5.1.1 unknown", Concern::Mail),
            (Rcpt, 501, "5.1.3 bad syntax", Concern::Mail),
            (Rcpt, 552, "mailbox full", Concern::Mail),
            (Rcpt, 450, "4.2.1 busy", Concern::Mail),
            (Rcpt, 550, "5.7.2 not on the list", Concern::Mail),
            (Rcpt, 550, "5.7.17 the mailbox has a new owner", Concern::Mail),
            (Rcpt, 554, "5.7.1 relay access denied", Either),
            (Rcpt, 550, "5.7.0 policy", Either),
            (Rcpt, 451, "4.7.1 greylisted", Either),
            (Rcpt, 550, "no such user", Either),
            (Rcpt, 550, "relay not permitted", Either),
            (Rcpt, 550, "5.7.8 login", Us),
            (Rcpt, 550, "5.7.23 SPF", Us),
            (Rcpt, 530, "5.7.0 STARTTLS first", Us),
            (Rcpt, 503, "5.5.1 MAIL first", Us),
            (Rcpt, 421, "4.3.0 closing", Us),
            (Data, 554, "5.5.1 no valid recipients", Concern::Mail),
            (Data, 503, "5.5.1 RCPT first", Us),
            (Message, 552, "5.3.4 too big", Concern::Mail),
            (Message, 554, "5.7.1 spam", Concern::Mail),
            (Message, 554, "5.3.2 shutting down", Us),
        ] {
            let reply = Reply { code, enhanced: enhanced_code(text) };
            assert_eq!(reply.concern(phase), concern, "{phase:?}: {code} {text}");
        }
    }

    #[test]
    fn an_enhanced_code_is_three_numbers_at_the_beginning() {
        assert_eq!(enhanced_code("5.1.1 <a@b.example> unknown"), Some((1, 1)));
        for other in ["", "unknown", "5.1 x", "5.1.1.1 x", "9.1.1 x", "127.0.0.1 x", "5.x.1"] {
            assert_eq!(enhanced_code(other), None, "{other}");
        }
    }
}
