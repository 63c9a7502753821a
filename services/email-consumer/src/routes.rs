//! The HTTP interface: dead letters, for operators. The scopes span all tenants.

mod bodies;
mod decide;
mod filters;
mod list;
mod show;

use api_error::{ApiError, Code};
use consumer::letters::Error;
use http_api::{Api, operation};

/// The scope for reading letters.
const READ: &str = "dead-letters:read";

/// The scope for decisions about letters.
const WRITE: &str = "dead-letters:write";

/// The table of operations, each with its scope and the errors that it may return.
pub(crate) fn api() -> Api {
    Api::new(
        "email-consumer",
        env!("CARGO_PKG_VERSION"),
        "Shows, replays and discards the dead letters of the group, for operators.",
    )
    .operation(operation!(list::list_dead_letters).scope(READ))
    .operation(operation!(decide::replay_dead_letters).scope(WRITE))
    .operation(operation!(decide::discard_dead_letters).scope(WRITE))
    .operation(operation!(show::show_dead_letter).scope(READ).errors(&[Code::NotFound]))
}

/// Converts an error of the letters.
fn failure(error: Error) -> ApiError {
    match error {
        Error::Store(error) => error.into(),
        Error::Kafka(_) | Error::Silent(_) => ApiError::unavailable("Kafka").with_source(error),
        Error::Undecided(..) => ApiError::unavailable("the schema registry").with_source(error),
        Error::Interrupted => ApiError::internal(error),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_matches_the_code() {
        testkit::assert_committed(
            "docs/openapi/email-consumer.json",
            &super::api().to_json(),
            "make openapi",
        );
    }
}
