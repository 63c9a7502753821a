//! `GET /v1/transfers`.

#![expect(unused_qualifications, reason = "utoipa qualifies the type of the parameters")]

use actix_web::{HttpResponse, web::Data};
use api_error::{ApiError, FromQuery, ListParameters, Parameters, Query, page_response};
use chrono::Utc;
use cursor::{List, Page, Scope, SortKey};
use http_api::Caller;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    id::Id,
    transfer_body::{TransferBody, TransferState as StateSchema},
};
use crate::{
    domain::{TransferFilter, TransferState},
    state::State,
    store,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// Only transfers from this account or to it.
    #[param(value_type = Option<Uuid>)]
    account: Option<Id>,
    /// Only transfers in this state.
    #[param(value_type = Option<StateSchema>)]
    state: Option<TransferState>,
    #[param(ignore)]
    list: ListParameters,
}

impl FromQuery for Filters {
    fn from_query(parameters: &mut Parameters<'_>) -> Option<Self> {
        let account = parameters.optional("account");
        let state = parameters.optional("state");
        let list = ListParameters::read(parameters);
        Some(Self { account: account?, state: state?, list: list? })
    }
}

/// A page of transfers.
#[derive(Serialize, ToSchema)]
#[schema(as = TransferPage)]
struct PageBody {
    items: Vec<TransferBody>,
    /// Cursor of the next page; `null` on the last page.
    #[schema(required = true)]
    next: Option<String>,
    /// Cursor of the previous page; `null` on the first page.
    #[schema(required = true)]
    prev: Option<String>,
}

/// Lists the transfers of the caller's tenant, one page at a time.
#[utoipa::path(
    get, path = "/v1/transfers", tag = "transfers",
    params(Filters, ListParameters),
    responses((
        status = 200, description = "One page of transfers.", body = PageBody,
        headers(("Link" = String, description = "The next and the previous page, as `rel=\"next\"` and `rel=\"prev\"` (RFC 8288).")),
    )),
)]
pub(super) async fn list_transfers(
    caller: Caller,
    filters: Query<Filters>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let tenant = caller.tenant.as_str();
    let Filters { account, state: in_state, list: parameters } = filters.into_inner();
    let filter =
        TransferFilter { account: account.map(|Id(id)| id), state: in_state, created: parameters.created()? };
    let scope = Scope::new(tenant, "/v1/transfers", parameters.order)
        .filter("account", filter.account.as_ref().map(Uuid::to_string))
        .filter("state", filter.state.map(TransferState::as_str))
        .created(filter.created);
    let list: List<'_, Uuid> =
        state.cursors.list(scope, parameters.limit, parameters.cursor.as_deref(), Utc::now())?;
    let context = (tenant, &filter, list.query());
    let transfers = pg::run_tx(&state.pool, "list_transfers", &context, |tx, (tenant, filter, page)| {
        Box::pin(store::transfer_list::list(tx, tenant, filter, page))
    })
    .await?;
    let page =
        list.page(transfers, |transfer| SortKey { at: transfer.details.created_at, id: transfer.details.id });
    let link = list.link(&page);
    let Page { items, next, prev } = page;
    let items = items.iter().map(TransferBody::from).collect();
    Ok(page_response(link, &PageBody { items, next, prev }))
}
