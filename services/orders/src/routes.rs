//! The HTTP interface: extract, call, render.

mod create_order;
mod get_order;
mod list_orders;
mod order_body;
mod track_order;

use actix_web::web;
use api_error::method_not_allowed;

/// Adds the routes, each with the scope that it takes and what it is worth under load; the public page has its own capability.
pub(crate) fn configure(services: &mut web::ServiceConfig) {
    services
        .service(
            web::resource(list_orders::PATTERN)
                .route(web::get().to(list_orders::list_orders).wrap(admission::read("orders:read")))
                .route(web::post().to(create_order::create_order).wrap(admission::write("orders:write")))
                .default_service(method_not_allowed("GET, POST")),
        )
        .service(
            web::resource(get_order::PATTERN)
                .route(web::get().to(get_order::get_order).wrap(admission::read("orders:read")))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            web::resource("/track/{token}")
                .route(web::get().to(track_order::track_order).wrap(admission::public()))
                .default_service(method_not_allowed("GET")),
        );
}
