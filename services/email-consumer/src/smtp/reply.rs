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

    /// Whether it judges this one mail. All else concerns every mail alike, so it is a dependency that is down.
    ///
    /// - Greeting, login and MAIL come before the server has seen whose mail it is. The one exception is x.6.7: MAIL says that
    ///   the recipient's address is not ASCII.
    /// - 500, 502, 503, 521 and 53z are about the protocol, the server and the login, wherever they come.
    /// - x.3.2 is a system that takes no mail.
    /// - x.7.z at RCPT is about our right to send: "554 5.7.1 Relay access denied" comes there and not at MAIL. A
    ///   recipient that alone refuses us looks the same; its order then waits, alone and visible, which can be mended, while
    ///   a dead letter for each order of an evening is much work. At the end of the mail, x.7.z has judged its text.
    pub(super) fn judges_mail(self, phase: Phase) -> bool {
        let of_us = matches!(self.code, 500 | 502 | 503 | 521 | 530..=539) || self.enhanced == Some((3, 2));
        match phase {
            Phase::Greeting | Phase::Login => false,
            Phase::Mail => self.enhanced == Some((6, 7)),
            Phase::Rcpt => !of_us && self.enhanced.is_none_or(|(subject, _)| subject != 7),
            Phase::Data | Phase::Message => !of_us,
        }
    }

    /// Whether the server says that the same mail will be refused again (RFC 5321, section 4.2.1).
    pub(super) fn is_permanent(self) -> bool {
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
    fn only_what_concerns_one_mail_judges_it() {
        use Phase::{Data, Greeting, Login, Mail, Message, Rcpt};
        for (phase, code, text, judges) in [
            (Greeting, 554, "5.7.1 no access", false),
            (Login, 535, "5.7.8 wrong login", false),
            (Mail, 550, "5.1.8 sender unknown", false),
            (Mail, 554, "relay access denied", false),
            (Mail, 553, "5.6.7 not ASCII", true),
            (Rcpt, 550, "5.1.1 unknown", true),
            (Rcpt, 550, "no such user", true),
            (Rcpt, 501, "5.1.3 bad syntax", true),
            (Rcpt, 554, "5.7.1 relay access denied", false),
            (Rcpt, 530, "5.7.0 STARTTLS first", false),
            (Rcpt, 503, "5.5.1 MAIL first", false),
            (Data, 554, "5.5.1 no valid recipients", true),
            (Data, 503, "5.5.1 RCPT first", false),
            (Message, 552, "5.3.4 too big", true),
            (Message, 554, "5.7.1 spam", true),
            (Message, 554, "5.3.2 shutting down", false),
        ] {
            let reply = Reply { code, enhanced: enhanced_code(text) };
            assert_eq!(reply.judges_mail(phase), judges, "{phase:?}: {code} {text}");
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
