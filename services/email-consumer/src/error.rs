//! Why a mail was not sent, and the outcome of its event.
//!
//! The messages go to logs and dead letters, so they contain no address, no link and no text of a mail server.

use consumer::Outcome;
use events::DecodeError;

use crate::{
    domain::{order_email::InvalidOrder, win_back::InvalidLink},
    links, smtp,
};

/// Every code of a dead letter of this service.
pub(crate) const CODES: &[&str] = &[
    "unknown_schema",
    "unreadable_payload",
    "invalid_order",
    "not_rendered",
    "outcome_unknown",
    "constraint",
    "link_refused",
    "invalid_address",
    "unsupported_address",
    "not_composed",
    "mail_refused",
];

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Order(#[from] InvalidOrder),
    #[error(transparent)]
    Promotion(#[from] InvalidLink),
    #[error("the mail cannot be rendered")]
    Render(#[from] askama::Error),

    #[error(transparent)]
    Store(#[from] pg::Error),

    #[error(transparent)]
    Link(#[from] links::Error),

    #[error(transparent)]
    Smtp(#[from] smtp::Error),
    /// Another process sends the mail, or did so until it died.
    #[error("another attempt holds the lease of the mail")]
    Held,
    /// All allowed attempts ended without an answer.
    #[error("outcome unknown: {0} attempts to send the mail got no answer, so it may have arrived")]
    NoAnswers(i32),
    /// The task panicked.
    #[error("the attempt was interrupted")]
    Interrupted,
}

impl Error {
    /// Returns the outcome of the event.
    pub(crate) fn outcome(self) -> Outcome {
        match self.concern() {
            // A dead letter leaves the process, so its reason omits the causes, which can quote data.
            Concern::Final(code) => Outcome::DeadLetter { code, reason: self.to_string() },
            Concern::Message => Outcome::Retry(self.to_string()),
            Concern::Attempt => Outcome::Busy(self.with_causes()),
            Concern::Dependency => Outcome::Unavailable(self.with_causes()),
        }
    }

    /// Returns whether an attempt to send the mail failed, or its outcome is unknown.
    pub(crate) fn is_of_smtp(&self) -> bool {
        matches!(self, Self::Smtp(_) | Self::NoAnswers(_) | Self::Interrupted)
    }

    /// Returns whether the SMTP server is not available for other mails either.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Smtp(_)) && matches!(self.concern(), Concern::Dependency)
    }

    fn concern(&self) -> Concern {
        match self {
            Self::Decode(error) => code_of_decoding(error).map_or(Concern::Dependency, Concern::Final),
            Self::Order(_) | Self::Promotion(_) => Concern::Final("invalid_order"),
            Self::Render(_) => Concern::Final("not_rendered"),
            Self::NoAnswers(_) => Concern::Final("outcome_unknown"),
            // A constraint refuses this one event. Other errors of the database can be repaired, and the event can be retried.
            Self::Store(error) if error.constraint().is_some() => Concern::Final("constraint"),
            Self::Link(error) if error.is_final() => Concern::Final("link_refused"),
            Self::Smtp(error) if error.is_final() => Concern::Final(code_of_mail(error)),
            Self::Smtp(smtp::Error::RefusedForNow(_)) => Concern::Message,
            Self::Held | Self::Interrupted | Self::Smtp(smtp::Error::LeaseLost) => Concern::Attempt,
            Self::Store(_) | Self::Link(_) | Self::Smtp(_) => Concern::Dependency,
        }
    }

    fn with_causes(self) -> String {
        format!("{:#}", anyhow::Error::new(self))
    }
}

/// What an error is about.
enum Concern {
    /// This event, for good, for the reason with this code, one of [`CODES`].
    Final(&'static str),
    /// This event, for now.
    Message,
    /// This attempt: another one has the mail.
    Attempt,
    /// All events.
    Dependency,
}

fn code_of_decoding(error: &DecodeError) -> Option<&'static str> {
    match error {
        DecodeError::Unavailable(_) | DecodeError::TooManyLookups | DecodeError::NotVerified => None,
        DecodeError::UnknownSchema(_) => Some("unknown_schema"),
        DecodeError::Framing | DecodeError::TrailingBytes(_) | DecodeError::Mismatch(..) => {
            Some("unreadable_payload")
        }
    }
}

fn code_of_mail(error: &smtp::Error) -> &'static str {
    match error {
        smtp::Error::InvalidAddress => "invalid_address",
        smtp::Error::UnsupportedAddress => "unsupported_address",
        smtp::Error::Malformed(_) => "not_composed",
        _ => "mail_refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_dead_letter_is_one_of_the_list() {
        let refused = links::Error::Refused { status: 422, code: "invalid_request".to_owned() };
        let errors = [
            Error::Decode(DecodeError::Framing),
            Error::Order(InvalidOrder::Amount),
            Error::NoAnswers(3),
            Error::Link(refused),
            Error::Smtp(smtp::Error::InvalidAddress),
            Error::Smtp(smtp::Error::UnsupportedAddress),
        ];
        for error in errors {
            assert!(matches!(error.concern(), Concern::Final(code) if CODES.contains(&code)), "{error}");
        }
        assert!(matches!(Error::Held.concern(), Concern::Attempt));
    }
}
