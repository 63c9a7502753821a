//! The HTTP interface: extract, call, render.

mod create_link;
mod get_link;
mod link_body;
mod list_links;
mod put_link;
mod redirect;
mod target_body;

use actix_web::web;
use api_error::method_not_allowed;

/// Adds the routes, each with the scope that it takes and what it is worth under load; anyone may follow a link.
pub(crate) fn configure(services: &mut web::ServiceConfig) {
    services
        .service(
            web::resource(list_links::PATTERN)
                .route(web::get().to(list_links::list_links).wrap(admission::read("links:read")))
                .route(web::post().to(create_link::create_link).wrap(admission::write("links:write")))
                .default_service(method_not_allowed("GET, POST")),
        )
        .service(
            web::resource("/v1/links/{code}")
                .route(web::put().to(put_link::put_link).wrap(admission::write("links:write")))
                .route(web::get().to(get_link::get_link).wrap(admission::read("links:read")))
                .default_service(method_not_allowed("GET, PUT")),
        )
        .service(
            web::resource("/{code}")
                .route(web::get().to(redirect::redirect).wrap(admission::public()))
                .route(web::head().to(redirect::redirect).wrap(admission::public()))
                .default_service(method_not_allowed("GET, HEAD")),
        );
}
