//! `GET /v1/orders/{id}`.

use actix_web::{
    HttpRequest, HttpResponse,
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

/// Returns an order of the caller's tenant, or 304 when the caller has it as it is. Another tenant's is as absent as one that never was.
pub(crate) async fn get_order(
    caller: Caller,
    request: HttpRequest,
    id: Path<Uuid>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let order =
        pg::run_tx(&state.pool, "find_order", &*id, |tx, id| Box::pin(store::orders::find(tx, *id))).await?;
    let order = order.filter(|order| order.details.tenant == caller.tenant.as_str()).ok_or_else(|| {
        ApiError::new(
            Code::NotFound,
            "There is no such order. Use the Location of the response that accepted it.",
        )
    })?;
    let tag = format!("{}-{}", order.details.id, order.version);
    Ok(conditional_get::json(&request, tag, || OrderBody::from(&order)))
}
