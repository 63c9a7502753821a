//! `GET /v1/links`: a tenant's look at all its links.

#![expect(unused_qualifications, reason = "utoipa qualifies the type of the parameters")]

use actix_web::{HttpResponse, web::Data};
use api_error::{ApiError, FromQuery, ListParameters, Parameters, Query, page_response};
use chrono::Utc;
use cursor::{List, Page, Scope, SortKey};
use http_api::Caller;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::link_body::LinkBody;
use crate::{
    domain::{Code, Host, LinkFilter},
    state::State,
    store,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// Only links whose current target has this host.
    #[param(value_type = Option<String>, max_length = 253)]
    host: Option<Host>,
    #[param(ignore)]
    list: ListParameters,
}

impl FromQuery for Filters {
    fn from_query(parameters: &mut Parameters<'_>) -> Option<Self> {
        let host = parameters.optional("host");
        let list = ListParameters::read(parameters);
        Some(Self { host: host?, list: list? })
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
    params(Filters, ListParameters),
    responses((
        status = 200, description = "One page of links.", body = PageBody,
        headers(("Link" = String, description = "The next and the previous page, as `rel=\"next\"` and `rel=\"prev\"` (RFC 8288).")),
    )),
)]
pub(super) async fn list_links(
    state: Data<State>,
    caller: Caller,
    filters: Query<Filters>,
) -> Result<HttpResponse, ApiError> {
    let Filters { host, list: parameters } = filters.into_inner();
    let filter = LinkFilter { host, created: parameters.created()? };
    let scope = Scope::new(caller.tenant.as_str(), "/v1/links", parameters.order)
        .filter("host", filter.host.as_ref().map(Host::as_str))
        .created(filter.created);
    let list: List<'_, Code> =
        state.cursors.list(scope, parameters.limit, parameters.cursor.as_deref(), Utc::now())?;
    let context = (&caller.tenant, &filter, list.query());
    let links = pg::run_tx(&state.pool, "list_links", &context, |tx, (tenant, filter, page)| {
        Box::pin(store::list::list(tx, tenant, filter, page))
    })
    .await?;
    let page = list.page(links, |link| SortKey { at: link.created_at, id: link.code.clone() });
    let link = list.link(&page);
    let Page { items, next, prev } = page;
    let items = items.into_iter().map(|link| LinkBody::new(link, &state.public_url)).collect();
    Ok(page_response(link, &PageBody { items, next, prev }))
}
