//! Why a mail was not sent, and what that means for its event.
//!
//! What a message here says ends up in logs and in dead letters, so it holds no address, no link and no text of a mail
//! server.

use std::{error::Error as StdError, iter::successors};

use consumer::Outcome;
use events::DecodeError;

use crate::{domain::notice::InvalidNotice, links, smtp};

/// Why an event was not handled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The payload was not read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The event makes no sense.
    #[error(transparent)]
    Notice(#[from] InvalidNotice),
    /// The mail was not written.
    #[error("the mail cannot be rendered")]
    Render(#[from] askama::Error),
    /// What was done could not be recorded or looked up.
    #[error(transparent)]
    Store(#[from] pg::Error),
    /// There is no link.
    #[error(transparent)]
    Link(#[from] links::Error),
    /// The mail is not with the SMTP server, or nobody knows.
    #[error(transparent)]
    Smtp(#[from] smtp::Error),
    /// Another claim is being worked on, or was until its process died.
    #[error("another attempt holds the lease of the mail")]
    Held,
    /// Every attempt that is allowed ended without an answer.
    #[error("outcome unknown: {0} attempts to send the mail got no answer, so it may have arrived")]
    NoAnswers(i32),
    /// The task panicked.
    #[error("the attempt was interrupted")]
    Interrupted,
}

impl Error {
    /// Decides what is to become of the event: a dead letter when it can never be handled, else another attempt.
    pub(crate) fn outcome(&self) -> Outcome {
        // A dead letter leaves the process, so it names what is wrong and not the causes, which can quote data.
        if self.is_final() {
            Outcome::DeadLetter(self.to_string())
        } else {
            Outcome::Retry(self.with_causes())
        }
    }

    fn with_causes(&self) -> String {
        let chain = successors(Some(self as &dyn StdError), |error: &&dyn StdError| (*error).source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    fn is_final(&self) -> bool {
        match self {
            Self::Decode(error) => !error.is_transient(),
            Self::Notice(_) | Self::Render(_) | Self::NoAnswers(_) => true,
            Self::Held | Self::Interrupted => false,
            // A constraint refuses this one event. Anything else that a database says can be mended without losing it.
            Self::Store(error) => error.constraint().is_some(),
            Self::Link(error) => error.is_final(),
            Self::Smtp(error) => error.is_final(),
        }
    }
}
