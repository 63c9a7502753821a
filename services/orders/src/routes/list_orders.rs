//! `GET /v1/orders`.

#![expect(unused_qualifications, reason = "utoipa qualifies the type of the parameters")]

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, HeaderValue, LINK},
    web::Data,
};
use api_error::{ApiError, Code, FromQuery, Parameters as Asked, Query};
use chrono::Utc;
use cursor::{Limit, List, Page, Scope, Sort, SortKey, TimeRange, Timestamp};
use http_api::Caller;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::order_body::{OrderState, SummaryBody};
use crate::{
    domain::{EmailAddress, OrderFilter, StateName, Summary},
    state::State,
    store,
};

/// Path of the list.
pub(crate) const PATTERN: &str = "/v1/orders";

/// What a client may ask.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Only orders in this state.
    #[param(value_type = Option<OrderState>)]
    state: Option<StateName>,
    /// Only orders placed at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    created_from: Option<Timestamp>,
    /// Only orders placed before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    created_to: Option<Timestamp>,
    /// Only orders with exactly this `customer_email`.
    #[param(value_type = Option<String>, max_length = 254)]
    customer: Option<EmailAddress>,
    /// Sort order by the time of placing: newest or oldest first.
    #[param(value_type = Option<String>, pattern = "^(newest|oldest)$")]
    order: Sort,
    /// Maximum number of orders on a page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// `next` or `prev` of another page, with the same filters and sort order.
    cursor: Option<String>,
}

impl FromQuery for Parameters {
    fn from_query(asked: &mut Asked<'_>) -> Option<Self> {
        let state = asked.optional("state");
        let created_from = asked.optional("created_from");
        let created_to = asked.optional("created_to");
        let customer = asked.optional("customer");
        let order = asked.optional("order");
        let limit = asked.optional("limit");
        let cursor = asked.optional("cursor");
        Some(Self {
            state: state?,
            created_from: created_from?,
            created_to: created_to?,
            customer: customer?,
            order: order?.unwrap_or_default(),
            limit: limit?.unwrap_or_default(),
            cursor: cursor?,
        })
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
    params(Parameters),
    responses((
        status = 200, description = "One page of orders.", body = PageBody,
        headers(("Link" = String, description = "The next and the previous page, as `rel=\"next\"` and `rel=\"prev\"` (RFC 8288).")),
    )),
)]
pub(crate) async fn list_orders(
    caller: Caller,
    parameters: Query<Parameters>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let tenant = caller.tenant.as_str();
    let Parameters { state: in_state, created_from, created_to, customer, order, limit, cursor } =
        parameters.into_inner();
    let filter = OrderFilter { state: in_state, created: range(created_from, created_to)?, customer };
    let scope = scope(tenant, &filter, order);
    let list: List<'_, Uuid> = state.cursors.list(scope, limit, cursor.as_deref(), Utc::now())?;
    let context = (tenant, &filter, list.query());
    let orders = pg::run_tx(&state.pool, "list_orders", &context, |tx, (tenant, filter, page)| {
        Box::pin(store::order_list::list(tx, tenant, filter, page))
    })
    .await?;
    let page = list.page(orders, |order| SortKey { at: order.placed_at, id: order.id });
    let link = list.link(&page);
    Ok(render(page, link))
}

/// The list that cursors are bound to.
fn scope(tenant: &str, filter: &OrderFilter, order: Sort) -> Scope {
    Scope::new(tenant, PATTERN, order)
        .filter("state", filter.state.map(StateName::as_str))
        .filter("created_from", filter.created.from().map(Timestamp::canonical))
        .filter("created_to", filter.created.to().map(Timestamp::canonical))
        .filter("customer", filter.customer.as_ref().map(EmailAddress::as_str))
}

fn range(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<TimeRange, ApiError> {
    TimeRange::new(from, to).map_err(|error| {
        ApiError::new(Code::InvalidRequest, "The time range is empty. See details.")
            .with_detail("/query/created_to", error.to_string())
    })
}

fn render(page: Page<Summary>, link: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("private, no-store")));
    if let Some(link) = link {
        response.insert_header((LINK, link));
    }
    let Page { items, next, prev } = page;
    response.json(PageBody { items: items.iter().map(SummaryBody::from).collect(), next, prev })
}
