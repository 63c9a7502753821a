//! The HTTP interface: extract, call, render.

mod create_link;
mod get_link;
mod link_body;
mod list_links;
mod put_link;
mod redirect;
mod target_body;

use actix_web::web;
use api_error::Code;
use http_api::{Api, operation};

/// Every operation, with the scope that it needs and the errors that it may answer.
fn api() -> Api {
    Api::new(
        "url-shortener",
        env!("CARGO_PKG_VERSION"),
        "Creates short links and redirects them to their targets.",
    )
    .operation(operation!(list_links::list_links).scope("links:read").errors(&[
        Code::InvalidRequest,
        Code::InvalidCursor,
        Code::CursorForeign,
        Code::CursorExpired,
        Code::CursorMismatch,
    ]))
    .operation(operation!(create_link::create_link).scope("links:write").errors(&[
        Code::MissingIdempotencyKey,
        Code::InvalidIdempotencyKey,
        Code::RequestInProgress,
        Code::IdempotencyKeyReused,
    ]))
    .operation(
        operation!(put_link::put_link)
            .scope("links:write")
            .errors(&[Code::Conflict, Code::PreconditionFailed]),
    )
    .operation(operation!(get_link::get_link).scope("links:read").errors(&[Code::NotFound]))
    .operation(
        operation!(redirect::redirect)
            .public_link("whoever knows a code may follow it")
            .errors(&[Code::NotFound]),
    )
}

/// Adds the routes.
pub(crate) fn configure(services: &mut web::ServiceConfig) {
    api().register(services);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_is_what_the_code_says() {
        testkit::assert_committed("docs/openapi/url-shortener.json", &super::api().to_json());
    }
}
