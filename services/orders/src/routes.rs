//! The HTTP interface: extract, call, render.

mod create_order;
mod get_order;
mod list_orders;
mod order_body;
mod track_order;

use actix_web::web;
use api_error::method_not_allowed;

/// Adds the routes. Scopes: `orders:write` to place an order, `orders:read` to see one or all; the public page has its own
/// capability.
pub(crate) fn configure(services: &mut web::ServiceConfig) {
    services
        .service(
            web::resource(list_orders::PATTERN)
                .route(web::get().to(list_orders::list_orders))
                .route(web::post().to(create_order::create_order))
                .default_service(method_not_allowed("GET, POST")),
        )
        .service(
            web::resource(get_order::PATTERN)
                .route(web::get().to(get_order::get_order))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            web::resource("/track/{token}")
                .route(web::get().to(track_order::track_order))
                .default_service(method_not_allowed("GET")),
        );
}
