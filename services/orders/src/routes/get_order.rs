//! `GET /v1/orders/{id}`.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, HeaderValue},
    web::{Data, Path},
};
use api_error::{ApiError, Code};
use auth::Caller;
use uuid::Uuid;

use super::order_body::OrderBody;
use crate::{app::State, store};

/// Path of an order.
pub(crate) const PATTERN: &str = "/v1/orders/{id}";

/// Path of this order.
pub(crate) fn location(id: Uuid) -> String {
    format!("/v1/orders/{id}")
}

/// Returns an order of the caller's tenant. Another tenant's is as absent as one that never was.
pub(crate) async fn get_order(
    caller: Caller,
    id: Path<Uuid>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    caller.require("orders:read")?;
    let order =
        pg::run_tx(&state.pool, "find_order", &*id, |tx, id| Box::pin(store::orders::find(tx, *id))).await?;
    let order = order.filter(|order| order.details.tenant == caller.tenant.as_str()).ok_or_else(|| {
        ApiError::new(
            Code::NotFound,
            "There is no such order. Use the Location of the response that accepted it.",
        )
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("private, no-store")))
        .json(OrderBody::from(&order)))
}
