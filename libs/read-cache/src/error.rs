//! Errors of a cache.

use std::sync::Arc;

/// Why a key could not be loaded. `E` is the error of the load.
#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    /// The load failed. All its waiters get this error.
    #[error("the load failed")]
    Load(#[source] Arc<E>),

    /// The load exceeded its timeout, or its result was older than the maximum age.
    #[error("the load took too long")]
    TooSlow,

    /// Too many loads are in flight; no load was started. Retry later.
    #[error("too many loads are in flight")]
    Overloaded,

    /// The load ended without a result: it panicked, or its runtime ended.
    #[error("the load ended without a result")]
    Lost,
}

/// A derived implementation would require `E: Clone`.
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
