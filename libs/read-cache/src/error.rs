//! Why there is no answer.

use std::sync::Arc;

/// A failure to find out what belongs to a key. `E` is the error of the load.
#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    /// The load failed. Everyone who waited for it gets the same failure.
    #[error("the load failed")]
    Load(#[source] Arc<E>),

    /// The load took longer than its timeout, or so long that its result may not be served any more.
    #[error("the load took too long")]
    TooSlow,

    /// As many loads are in flight as may be. Nothing was asked; come back later.
    #[error("too many loads are in flight")]
    Overloaded,

    /// The load ended without a result: it panicked, or its runtime ended.
    #[error("the load ended without a result")]
    Lost,
}

/// Derived, it would ask the same of `E`.
impl<E> Clone for Error<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Load(error) => Self::Load(Arc::clone(error)),
            Self::TooSlow => Self::TooSlow,
            Self::Overloaded => Self::Overloaded,
            Self::Lost => Self::Lost,
        }
    }
}
