//! Why a mail is not with the SMTP server. Holds codes and no text of the server, which likes to repeat the address.

/// What went wrong, as decisions that follow from it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing can be sent there.
    #[error("the customer's address is not a mail address")]
    InvalidAddress,
    /// The parts do not make a message.
    #[error("the mail cannot be composed")]
    Malformed(#[source] lettre::error::Error),
    /// There is no connection: nothing was handed over.
    #[error("the SMTP server is unavailable: {0}")]
    Unavailable(&'static str),
    /// The server turned us away when we connected: nothing was handed over.
    #[error("the SMTP server does not take connections from us: it answers {0}")]
    TurnedAway(u16),
    /// The server refused the mail.
    #[error("the SMTP server refuses the mail with {0}")]
    Refused(u16),
    /// The address needs an extension (RFC 6531) that the server does not have.
    #[error("the SMTP server does not support addresses beyond ASCII")]
    UnsupportedAddress,
    /// The exchange broke off: the server may have the mail.
    #[error("nobody knows whether the SMTP server has the mail: {0}")]
    OutcomeUnknown(&'static str),
}

impl Error {
    /// Whether the same mail will meet the same fate again. A 5yz is final, but for 53z, which judges us and not the
    /// mail (RFC 4954: no or a wrong login), and which can be repaired.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::InvalidAddress | Self::Malformed(_) | Self::UnsupportedAddress => true,
            Self::Refused(code) => (500..=599).contains(code) && code / 10 != 53,
            Self::Unavailable(_) | Self::TurnedAway(_) | Self::OutcomeUnknown(_) => false,
        }
    }

    /// Whether it is certain that the server does not have the mail, although it was handed over.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::UnsupportedAddress => true,
            Self::InvalidAddress
            | Self::Malformed(_)
            | Self::Unavailable(_)
            | Self::TurnedAway(_)
            | Self::OutcomeUnknown(_) => false,
        }
    }

    /// The name of this kind of failure in spans.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::InvalidAddress => "invalid_address",
            Self::Malformed(_) => "malformed",
            Self::Unavailable(_) => "unavailable",
            Self::TurnedAway(_) => "turned_away",
            Self::Refused(_) => "refused",
            Self::UnsupportedAddress => "unsupported_address",
            Self::OutcomeUnknown(_) => "outcome_unknown",
        }
    }

    pub(super) fn from_connect(error: &lettre::transport::smtp::Error) -> Self {
        match error.status() {
            Some(code) => Self::TurnedAway(code.into()),
            None => Self::Unavailable("it cannot be connected to"),
        }
    }

    /// lettre's client error is one that it finds before it sends anything: here, an address beyond ASCII.
    pub(super) fn from_send(error: &lettre::transport::smtp::Error) -> Self {
        match error.status() {
            Some(code) => Self::Refused(code.into()),
            None if error.is_client() => Self::UnsupportedAddress,
            None => Self::OutcomeUnknown("the connection broke"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_of_the_mail_itself_are_final() {
        for (code, is_final) in
            [(421, false), (450, false), (530, false), (535, false), (550, true), (554, true)]
        {
            assert_eq!(Error::Refused(code).is_final(), is_final, "{code}");
        }
        assert!(!Error::TurnedAway(554).is_final());
    }

    #[test]
    fn an_exchange_that_broke_off_is_no_refusal() {
        assert!(Error::Refused(450).is_refusal());
        assert!(!Error::OutcomeUnknown("the connection broke").is_refusal());
    }
}
