//! The HTTP interface.

mod create_link;
mod link;
mod link_body;
mod list_links;
mod redirect;

use api_error::Code;
use http_api::{Api, operation};

/// The table of operations, each with its scope and the errors that it may return.
pub(crate) fn api() -> Api {
    Api::new(
        "url-shortener",
        env!("CARGO_PKG_VERSION"),
        "Creates short links and redirects them to their targets.",
    )
    .operation(operation!(list_links::list_links).scope("links:read"))
    .operation(operation!(create_link::create_link).scope("links:write"))
    .operation(
        operation!(link::put_link).scope("links:write").errors(&[Code::Conflict, Code::PreconditionFailed]),
    )
    .operation(operation!(link::get_link).scope("links:read").errors(&[Code::NotFound]))
    .operation(operation!(redirect::redirect).public_link("redirects are public").errors(&[Code::NotFound]))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_matches_the_code() {
        testkit::assert_committed("docs/openapi/url-shortener.json", &super::api().to_json(), "make openapi");
    }
}
