//! `GET /v1/dead-letters`: the open letters.

use actix_web::{HttpResponse, http::header::CACHE_CONTROL, web::Data};
use api_error::{ApiError, Query};
use consumer::letters::{Act, Order};

use super::{bodies::PageBody, failure, filters::Filters};
use crate::letters::DeadLetters;

/// Lists the open dead letters of all tenants, one page at a time.
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "dead letters",
    params(Filters),
    responses((status = 200, description = "One page of letters.", body = PageBody)),
)]
pub(super) async fn list_dead_letters(
    letters: Data<DeadLetters>,
    filters: Query<Filters>,
) -> Result<HttpResponse, ApiError> {
    let (selection, from, limit) = filters.into_inner().into_parts();
    work(&letters, &Order { selection, from, limit, act: Act::List }).await
}

/// Carries out a call and answers with its page.
pub(super) async fn work(letters: &DeadLetters, order: &Order) -> Result<HttpResponse, ApiError> {
    let page = letters.work(order).await.map_err(failure)?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "private, no-store")).json(PageBody::from(page)))
}
