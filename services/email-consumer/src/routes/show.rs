//! `GET /v1/dead-letters/{id}`: one letter.

use actix_web::{
    HttpResponse,
    http::header::CACHE_CONTROL,
    web::{Data, Path},
};
use api_error::{ApiError, Code};

use super::{bodies::ShownBody, failure};
use crate::letters::DeadLetters;

/// Shows a dead letter: its event, its headers, why it failed, and what was decided about it.
///
/// After a decision, the letter is deleted from the topic, and only the decisions are left, for 90 days.
#[utoipa::path(
    get, path = "/v1/dead-letters/{id}", tag = "dead letters",
    params(("id" = String, Path, description = "Partition and offset in the dead-letter topic.", example = "0-17")),
    responses((status = 200, description = "The letter.", body = ShownBody)),
)]
pub(super) async fn show_dead_letter(
    letters: Data<DeadLetters>,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let not_found =
        || ApiError::new(Code::NotFound, "There is no dead letter with this id, and no decision about one.");
    let id = id.parse().or(Err(not_found()))?;
    let shown = letters.show(id).await.map_err(failure)?.ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "private, no-store")).json(ShownBody::from(shown)))
}
