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
    /// Returns the outcome of the event: a dead letter if no attempt can succeed, otherwise a retry.
    pub(crate) fn outcome(self) -> Outcome {
        // A dead letter leaves the process, so its reason omits the causes, which can quote data.
        if self.is_final() {
            Outcome::DeadLetter(self.to_string())
        } else {
            Outcome::Retry(format!("{:#}", anyhow::Error::new(self)))
        }
    }

    fn is_final(&self) -> bool {
        match self {
            Self::Decode(error) => !error.is_transient(),
            Self::Order(_) | Self::Render(_) | Self::NoAnswers(_) => true,
            Self::Held | Self::Interrupted => false,
            // A constraint refuses this one event. Other errors of the database can be repaired, and the event can be retried.
            Self::Store(error) => error.constraint().is_some(),
            Self::Link(error) => error.is_final(),
            Self::Smtp(error) => error.is_final(),
        }
    }
}
