//! `GET /v1/accounts/{account_id}/postings`.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use api_error::{ApiError, ListParameters, Query, page_response};
use chrono::Utc;
use cursor::{List, Page, Scope, SortKey};
use http_api::Caller;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    id::{account_id, no_account},
    list_accounts::Unfiltered,
    transfer_body::PostingBody,
};
use crate::{state::State, store};

/// A page of a statement.
#[derive(Serialize, ToSchema)]
#[schema(as = PostingPage)]
struct PageBody {
    items: Vec<PostingBody>,
    /// Cursor of the next page; `null` on the last page.
    #[schema(required = true)]
    next: Option<String>,
    /// Cursor of the previous page; `null` on the first page.
    #[schema(required = true)]
    prev: Option<String>,
}

/// Returns the statement of an account: its postings, one page at a time.
///
/// A new posting is newer than all others of the account. An account of another tenant returns 404.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/postings", tag = "accounts",
    params(
        ("account_id" = Uuid, Path, description = "Id of the account.", example = "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11"),
        ListParameters,
    ),
    responses((
        status = 200, description = "One page of postings.", body = PageBody,
        headers(("Link" = String, description = "The next and the previous page, as `rel=\"next\"` and `rel=\"prev\"` (RFC 8288).")),
    )),
)]
pub(super) async fn list_postings(
    caller: Caller,
    id: Path<String>,
    parameters: Query<Unfiltered>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (tenant, id) = (caller.tenant.as_str(), account_id(&id)?);
    let Unfiltered(parameters) = parameters.into_inner();
    let created = parameters.created()?;
    let scope = Scope::new(tenant, format!("/v1/accounts/{id}/postings"), parameters.order).created(created);
    let list: List<'_, Uuid> =
        state.cursors.list(scope, parameters.limit, parameters.cursor.as_deref(), Utc::now())?;
    store::accounts::find(&state.pool, tenant, id).await?.ok_or_else(no_account)?;
    let context = (id, created, list.query());
    let postings = pg::run_tx(&state.pool, "list_postings", &context, |tx, (id, created, page)| {
        Box::pin(store::postings::list(tx, *id, created, page))
    })
    .await?;
    let page = list.page(postings, |posting| SortKey { at: posting.created_at, id: posting.id });
    let link = list.link(&page);
    let Page { items, next, prev } = page;
    let items = items.iter().map(PostingBody::from).collect();
    Ok(page_response(link, &PageBody { items, next, prev }))
}
