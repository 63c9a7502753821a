//! `GET /v1/orders/{id}` and `GET /v2/orders/{id}`.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};
use api_error::{ApiError, Code};
use http_api::{Caller, conditional};
use uuid::Uuid;

use super::order_body::{OrderBody, OrderBodyV2};
use crate::{domain::Snapshot, state::State, store};

/// Path of an order in version 1, the version of the response that contains it.
pub(crate) fn location(id: Uuid) -> String {
    format!("/v1/orders/{id}")
}

/// Returns an order, with amounts as numbers and one currency.
///
/// An order of another tenant returns 404.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders",
    params(
        ("id" = Uuid, Path, description = "Id of the order.", example = "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of an earlier response. The response is 304 if the order has not changed."),
    ),
    responses(
        (
            status = 200, description = "The current state of the order.", body = OrderBody,
            headers(("ETag" = String, description = "Version of the order. It differs after every change.")),
        ),
        (status = 304, description = "The order has not changed since the response with this `ETag`."),
    ),
)]
pub(crate) async fn get_order(
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let order = find(&caller, &id, &state).await?;
    Ok(conditional::json(&request, tag(&order, 1), || OrderBody::from(&order)))
}

/// Returns an order, with a currency for each amount.
///
/// An order of another tenant returns 404.
#[utoipa::path(
    get, path = "/v2/orders/{id}", tag = "orders",
    params(
        ("id" = Uuid, Path, description = "Id of the order.", example = "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of an earlier response. The response is 304 if the order has not changed."),
    ),
    responses(
        (
            status = 200, description = "The current state of the order.", body = OrderBodyV2,
            headers(("ETag" = String, description = "Version of the order. It differs after every change.")),
        ),
        (status = 304, description = "The order has not changed since the response with this `ETag`."),
    ),
)]
pub(crate) async fn get_order_v2(
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let order = find(&caller, &id, &state).await?;
    Ok(conditional::json(&request, tag(&order, 2), || OrderBodyV2::from(&order)))
}

/// The path without a version returns both API versions, so a tag contains the API version too.
fn tag(order: &Snapshot, api_version: u8) -> String {
    format!("{}-{}-v{api_version}", order.details.id, order.version)
}

async fn find(caller: &Caller, id: &str, state: &State) -> Result<Snapshot, ApiError> {
    let Ok(id) = Uuid::try_parse(id) else {
        let message = "must be a UUID, such as 0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11";
        return Err(not_found().with_detail("/path/id", message));
    };
    let order = store::orders::find(&state.pool, "find_order", id).await?;
    order.filter(|order| order.details.tenant == caller.tenant.as_str()).ok_or_else(not_found)
}

fn not_found() -> ApiError {
    ApiError::new(
        Code::NotFound,
        "The order does not exist. Use the path in the Location header of the response that accepted it.",
    )
}
