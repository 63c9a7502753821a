//! What a cursor that does not open looks like to a client: always 400, with a code for each reason.

use cursor::CursorError;

use crate::{ApiError, Code};

impl From<CursorError> for ApiError {
    fn from(error: CursorError) -> Self {
        let (code, message) = match error {
            CursorError::Invalid => (
                Code::InvalidCursor,
                "This is no cursor. Send one as it came in next or prev, or none for the first page.",
            ),
            CursorError::Foreign => (
                Code::CursorForeign,
                "This cursor is of another tenant or another list. Ask for the first page of this one, without a cursor.",
            ),
            CursorError::Expired => (
                Code::CursorExpired,
                "This cursor has expired. Begin again without one, from the time of the last row you have if the list is long.",
            ),
            CursorError::Mismatch => (
                Code::CursorMismatch,
                "This cursor was made for other filters or another order. Repeat those, or begin again without a cursor.",
            ),
        };
        Self::new(code, message).with_detail("/query/cursor", error.to_string())
    }
}
