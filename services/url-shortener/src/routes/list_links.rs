//! `GET /v1/links`: a tenant's look at all its links.

#![expect(unused_qualifications, reason = "utoipa qualifies the type of the parameters")]

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, LINK},
    web::Data,
};
use api_error::{ApiError, Code as ErrorCode, FromQuery, Parameters as Asked, Query};
use chrono::Utc;
use cursor::{Limit, List, Page, Scope, Sort, SortKey, TimeRange, Timestamp};
use http_api::Caller;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::link_body::LinkBody;
use crate::{
    domain::{Code, Host, LinkFilter},
    state::State,
    store,
};

/// Path of the list.
pub(super) const PATTERN: &str = "/v1/links";

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only links whose current target has this host.
    #[param(value_type = Option<String>, max_length = 253)]
    host: Option<Host>,
    /// Only links created at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    created_from: Option<Timestamp>,
    /// Only links created before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    created_to: Option<Timestamp>,
    /// Sort order by the time of creation: newest or oldest first.
    #[param(value_type = Option<String>, pattern = "^(newest|oldest)$")]
    order: Sort,
    /// Maximum number of links on a page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// `next` or `prev` of another page, with the same filters and sort order.
    cursor: Option<String>,
}

impl FromQuery for Parameters {
    fn from_query(asked: &mut Asked<'_>) -> Option<Self> {
        let host = asked.optional("host");
        let created_from = asked.optional("created_from");
        let created_to = asked.optional("created_to");
        let order = asked.optional("order");
        let limit = asked.optional("limit");
        let cursor = asked.optional("cursor");
        Some(Self {
            host: host?,
            created_from: created_from?,
            created_to: created_to?,
            order: order?.unwrap_or_default(),
            limit: limit?.unwrap_or_default(),
            cursor: cursor?,
        })
    }
}

/// A page of links.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkPage)]
struct PageBody {
    items: Vec<LinkBody>,
    /// Cursor of the next page; `null` on the last page.
    #[schema(required = true)]
    next: Option<String>,
    /// Cursor of the previous page; `null` on the first page.
    #[schema(required = true)]
    prev: Option<String>,
}

/// Lists the links of the caller's tenant, one page at a time.
#[utoipa::path(
    get, path = "/v1/links", tag = "links",
    params(Parameters),
    responses((
        status = 200, description = "One page of links.", body = PageBody,
        headers(("Link" = String, description = "The next and the previous page, as `rel=\"next\"` and `rel=\"prev\"` (RFC 8288).")),
    )),
)]
pub(super) async fn list_links(
    state: Data<State>,
    caller: Caller,
    parameters: Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { host, created_from, created_to, order, limit, cursor } = parameters.into_inner();
    let filter = LinkFilter { host, created: range(created_from, created_to)? };
    let scope = scope(caller.tenant.as_str(), &filter, order);
    let list: List<'_, Code> = state.cursors.list(scope, limit, cursor.as_deref(), Utc::now())?;
    let context = (&caller.tenant, &filter, list.query());
    let links = pg::run_tx(&state.pool, "list_links", &context, |tx, (tenant, filter, page)| {
        Box::pin(store::list::list(tx, tenant, filter, page))
    })
    .await?;
    let page = list.page(links, |link| SortKey { at: link.created_at, id: link.code.clone() });

    let mut response = HttpResponse::Ok();
    // A target can be a capability.
    response.insert_header((CACHE_CONTROL, "private, no-store"));
    if let Some(link) = list.link(&page) {
        response.insert_header((LINK, link));
    }
    let Page { items, next, prev } = page;
    let items = items.into_iter().map(|link| LinkBody::new(link, &state.public_url)).collect();
    Ok(response.json(PageBody { items, next, prev }))
}

/// The list that cursors are bound to.
fn scope(tenant: &str, filter: &LinkFilter, order: Sort) -> Scope {
    Scope::new(tenant, PATTERN, order)
        .filter("host", filter.host.as_ref().map(Host::as_str))
        .filter("created_from", filter.created.from().map(Timestamp::canonical))
        .filter("created_to", filter.created.to().map(Timestamp::canonical))
}

fn range(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<TimeRange, ApiError> {
    TimeRange::new(from, to).map_err(|error| {
        ApiError::new(ErrorCode::InvalidRequest, "The time range is empty. See details.")
            .with_detail("/query/created_to", error.to_string())
    })
}
