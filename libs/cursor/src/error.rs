//! Why a cursor does not open.

use thiserror::Error;

/// Why a cursor does not open. Texts continue "the cursor …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CursorError {
    /// Not a cursor of these keys: damaged, changed, made up, or signed with a key that is gone.
    #[error("is not one that was given out, or was changed on the way")]
    Invalid,
    /// Genuine, and of another tenant or another route.
    #[error("belongs to another tenant or to another list")]
    Foreign,
    /// Genuine, of this list, and too old.
    #[error("has expired")]
    Expired,
    /// Genuine, of this list, and made for other filters or another order.
    #[error("was made for other filters or another order")]
    Mismatch,
}
