//! The HTTP interface.

mod create_order;
mod get_order;
mod html;
mod list_orders;
mod order_body;
mod track_order;
mod unsubscribe;

use api_error::Code;
use http_api::{Api, Deprecation, operation};

/// Version 1 of an order is deprecated since 25 November 2026 and is removed on 1 July 2027.
const ORDER_V1: Deprecation = Deprecation::new(1_795_564_800, 1_814_400_000, 2);

/// Why a link of a mail needs no token of a caller.
const LINK: &str = "the token in the path authorizes the request";

/// The table of operations, each with its scope and the errors that it may return.
pub(crate) fn api() -> Api {
    Api::new(
        "orders",
        env!("CARGO_PKG_VERSION"),
        "Accepts orders, reserves stock, and confirms or rejects each order.",
    )
    .operation(
        operation!(create_order::create_order)
            .scope("orders:write")
            .errors(&[Code::UnknownSku, Code::BacklogFull]),
    )
    .operation(operation!(list_orders::list_orders).scope("orders:read"))
    .operation(
        operation!(get_order::get_order)
            .scope("orders:read")
            .errors(&[Code::NotFound])
            .by_header()
            .deprecated(ORDER_V1),
    )
    .operation(operation!(get_order::get_order_v2).scope("orders:read").errors(&[Code::NotFound]).by_header())
    .operation(operation!(unsubscribe::show_unsubscribe).public_link(LINK))
    .operation(operation!(unsubscribe::unsubscribe).public_link(LINK))
    .operation(operation!(track_order::track_order).public_link(LINK))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_matches_the_code() {
        testkit::assert_committed("docs/openapi/orders.json", &super::api().to_json(), "make openapi");
    }
}
