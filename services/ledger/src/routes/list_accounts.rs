//! `GET /v1/accounts`.

use actix_web::{HttpResponse, web::Data};
use api_error::{ApiError, FromQuery, ListParameters, Parameters, Query, page_response};
use chrono::Utc;
use cursor::{List, Page, Scope, SortKey};
use http_api::Caller;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::account_body::AccountBody;
use crate::{state::State, store};

/// The parameters of a list without filters of its own.
pub(super) struct Unfiltered(pub(super) ListParameters);

impl FromQuery for Unfiltered {
    fn from_query(parameters: &mut Parameters<'_>) -> Option<Self> {
        ListParameters::read(parameters).map(Self)
    }
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountPage)]
struct PageBody {
    items: Vec<AccountBody>,
    /// Cursor of the next page; `null` on the last page.
    #[schema(required = true)]
    next: Option<String>,
    /// Cursor of the previous page; `null` on the first page.
    #[schema(required = true)]
    prev: Option<String>,
}

/// Lists the accounts of the caller's tenant, one page at a time.
#[utoipa::path(
    get, path = "/v1/accounts", tag = "accounts",
    params(ListParameters),
    responses((
        status = 200, description = "One page of accounts.", body = PageBody,
        headers(("Link" = String, description = "The next and the previous page, as `rel=\"next\"` and `rel=\"prev\"` (RFC 8288).")),
    )),
)]
pub(super) async fn list_accounts(
    caller: Caller,
    parameters: Query<Unfiltered>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let tenant = caller.tenant.as_str();
    let Unfiltered(parameters) = parameters.into_inner();
    let created = parameters.created()?;
    let scope = Scope::new(tenant, "/v1/accounts", parameters.order).created(created);
    let list: List<'_, Uuid> =
        state.cursors.list(scope, parameters.limit, parameters.cursor.as_deref(), Utc::now())?;
    let context = (tenant, created, list.query());
    let accounts = pg::run_tx(&state.pool, "list_accounts", &context, |tx, (tenant, created, page)| {
        Box::pin(store::account_list::list(tx, tenant, created, page))
    })
    .await?;
    let page = list.page(accounts, |account| SortKey { at: account.created_at, id: account.id });
    let link = list.link(&page);
    let Page { items, next, prev } = page;
    let items = items.iter().map(AccountBody::from).collect();
    Ok(page_response(link, &PageBody { items, next, prev }))
}
