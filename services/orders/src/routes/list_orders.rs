//! `GET /v1/orders`.

#![expect(unused_qualifications, reason = "utoipa qualifies the type of the parameters")]

use actix_web::{HttpResponse, web::Data};
use api_error::{ApiError, FromQuery, ListParameters, Parameters, Query, page_response};
use chrono::Utc;
use cursor::{List, Page, Scope, SortKey};
use http_api::Caller;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::order_body::{OrderState, SummaryBody};
use crate::{
    domain::{EmailAddress, OrderFilter, StateName},
    state::State,
    store,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filters {
    /// Only orders in this state.
    #[param(value_type = Option<OrderState>)]
    state: Option<StateName>,
    /// Only orders with exactly this `customer_email`.
    #[param(value_type = Option<String>, max_length = 254)]
    customer: Option<EmailAddress>,
    #[param(ignore)]
    list: ListParameters,
}

impl FromQuery for Filters {
    fn from_query(parameters: &mut Parameters<'_>) -> Option<Self> {
        let state = parameters.optional("state");
        let customer = parameters.optional("customer");
        let list = ListParameters::read(parameters);
        Some(Self { state: state?, customer: customer?, list: list? })
    }
}

/// A page of orders.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderPageV1)]
struct PageBody {
    items: Vec<SummaryBody>,
    /// Cursor of the next page; `null` on the last page.
    #[schema(required = true)]
    next: Option<String>,
    /// Cursor of the previous page; `null` on the first page.
    #[schema(required = true)]
    prev: Option<String>,
}

/// Lists the orders of the caller's tenant, one page at a time.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders",
    params(Filters, ListParameters),
    responses((
        status = 200, description = "One page of orders.", body = PageBody,
        headers(("Link" = String, description = "The next and the previous page, as `rel=\"next\"` and `rel=\"prev\"` (RFC 8288).")),
    )),
)]
pub(crate) async fn list_orders(
    caller: Caller,
    filters: Query<Filters>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let tenant = caller.tenant.as_str();
    let Filters { state: in_state, customer, list: parameters } = filters.into_inner();
    let filter = OrderFilter { state: in_state, created: parameters.created()?, customer };
    let scope = Scope::new(tenant, "/v1/orders", parameters.order)
        .filter("state", filter.state.map(StateName::as_str))
        .created(filter.created)
        .filter("customer", filter.customer.as_ref().map(EmailAddress::as_str));
    let list: List<'_, Uuid> =
        state.cursors.list(scope, parameters.limit, parameters.cursor.as_deref(), Utc::now())?;
    let context = (tenant, &filter, list.query());
    let orders = pg::run_tx(&state.pool, "list_orders", &context, |tx, (tenant, filter, page)| {
        Box::pin(store::order_list::list(tx, tenant, filter, page))
    })
    .await?;
    let page = list.page(orders, |order| SortKey { at: order.placed_at, id: order.id });
    let link = list.link(&page);
    let Page { items, next, prev } = page;
    let items = items.iter().map(SummaryBody::from).collect();
    Ok(page_response(link, &PageBody { items, next, prev }))
}
