//! Why a mail was not sent, and the outcome of its event.
//!
//! The messages go to logs and dead letters, so they contain no address, no link and no text of a mail server.

use consumer::Outcome;
use events::DecodeError;

use crate::{domain::order_email::InvalidOrder, links, smtp};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Order(#[from] InvalidOrder),
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
            Concern::Final => Outcome::DeadLetter(self.to_string()),
            Concern::Message => Outcome::Retry(self.to_string()),
            Concern::Attempt => Outcome::Busy(self.with_causes()),
            Concern::Dependency => Outcome::Unavailable(self.with_causes()),
        }
    }

    fn concern(&self) -> Concern {
        match self {
            Self::Decode(error) if error.is_transient() => Concern::Dependency,
            Self::Decode(_) | Self::Order(_) | Self::Render(_) | Self::NoAnswers(_) => Concern::Final,
            // A constraint refuses this one event. Other errors of the database can be repaired, and the event can be retried.
            Self::Store(error) if error.constraint().is_some() => Concern::Final,
            Self::Link(error) if error.is_final() => Concern::Final,
            Self::Smtp(error) if error.is_final() => Concern::Final,
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
    /// This event, for good.
    Final,
    /// This event, for now.
    Message,
    /// This attempt: another one has the mail.
    Attempt,
    /// All events.
    Dependency,
}
