//! Errors of the registry.

use thiserror::Error;

/// An error of the registry.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// It is unreachable or its response is invalid: retry later.
    #[error("the schema registry is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The schema cannot read a version that the registry has.
    #[error(
        "the schema of {subject} is incompatible with a version that the registry has: {reason}. Run `make schemas/check`; if it \
         passes, a version in the registry did not: see docs/schema-evolution.md"
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// The reason of the registry.
        reason: String,
    },
    /// The subject or schema does not exist.
    #[error("the registry does not know {0}")]
    Unknown(String),
    /// It refused the request.
    #[error("the registry refused: {status}: {reason}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The reason of the registry.
        reason: String,
    },
}

impl RegistryError {
    /// Whether the schema conflicts with the registry, so that its program must not run.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Incompatible { .. })
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
