//! What a failure of the database looks like to a client: 503 when it passes by itself, 500 when it does not.

use std::error::Error as _;

use pg::TxError;

use crate::{ApiError, Code};

impl From<pg::Error> for ApiError {
    fn from(error: pg::Error) -> Self {
        if matches!(error, pg::Error::DeadlineExceeded(_)) {
            Self::new(Code::DeadlineExceeded, "no time was left in the database").with_source(error)
        } else if error.is_transient() {
            Self::unavailable("PostgreSQL").with_source(error)
        } else {
            Self::internal(error)
        }
    }
}

impl TxError for ApiError {
    fn database(&self) -> Option<&pg::Error> {
        self.source()?.downcast_ref()
    }
}
