//! The HTTP interface: extract, call, render.

mod get_link;
mod link_body;
mod list_links;
mod put_link;
mod redirect;

use actix_web::web;
use api_error::method_not_allowed;

/// Adds the routes. Scopes: `links:write` to put a link, `links:read` to see one or all; anyone may follow one.
pub(crate) fn configure(services: &mut web::ServiceConfig) {
    services
        .service(
            web::resource(list_links::PATTERN)
                .route(web::get().to(list_links::list_links))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            web::resource("/v1/links/{code}")
                .route(web::put().to(put_link::put_link))
                .route(web::get().to(get_link::get_link))
                .default_service(method_not_allowed("GET, PUT")),
        )
        .service(
            web::resource("/{code}")
                .route(web::get().to(redirect::redirect))
                .route(web::head().to(redirect::redirect))
                .default_service(method_not_allowed("GET, HEAD")),
        );
}
