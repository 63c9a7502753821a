//! How long to wait: the configured time, or what the deadline around the call leaves, whichever is shorter.

use std::time::Duration;

use crate::{Error, error::Source};

/// A bounded wait that knows whose bound it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) limit: Duration,
    /// The deadline ends it, and not the configured time.
    pub(crate) ends_with_deadline: bool,
}

impl Patience {
    pub(crate) fn at_most(configured: Duration) -> Self {
        match deadline::remaining() {
            Some(remaining) if remaining < configured => Self { limit: remaining, ends_with_deadline: true },
            _ => Self { limit: configured, ends_with_deadline: false },
        }
    }

    /// The failure of something that took longer.
    pub(crate) fn exceeded(self, cause: impl Into<Source>) -> Error {
        if self.ends_with_deadline {
            Error::DeadlineExceeded(cause.into())
        } else {
            Error::Unavailable(cause.into())
        }
    }
}
