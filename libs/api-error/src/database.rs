//! What a failure of the database looks like to a client: 503 when it passes by itself, 500 when it does not.

use std::error::Error as _;

use pg::TxError;

use crate::ApiError;

impl From<pg::Error> for ApiError {
    fn from(error: pg::Error) -> Self {
        if error.is_transient() {
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
