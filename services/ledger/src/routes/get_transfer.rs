//! `GET /v1/transfers/{transfer_id}`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderValue, RETRY_AFTER},
    web::{Data, Path},
};
use api_error::ApiError;
use http_api::{Caller, conditional};

use super::{
    id::{no_transfer, transfer_id},
    transfer_body::TransferBody,
};
use crate::{domain::TransferState, state::State, store};

/// Seconds until a client should ask again: the bank decides later.
const PENDING_RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Returns a transfer.
///
/// A transfer of another tenant returns 404.
#[utoipa::path(
    get, path = "/v1/transfers/{transfer_id}", tag = "transfers",
    params(
        ("transfer_id" = Uuid, Path, description = "Id of the transfer.", example = "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d13"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of an earlier response. The response is 304 if the transfer has not changed."),
    ),
    responses(
        (
            status = 200, description = "The current state of the transfer.", body = TransferBody,
            headers(
                ("ETag" = String, description = "Version of the transfer. It differs after every change."),
                ("Retry-After" = Option<String>, description = "Seconds after which to ask again; only while the transfer is `pending`."),
            ),
        ),
        (
            status = 304, description = "The transfer has not changed since the response with this `ETag`.",
            headers(("Retry-After" = Option<String>, description = "Seconds after which to ask again; only while the transfer is `pending`.")),
        ),
    ),
)]
pub(super) async fn get_transfer(
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let transfer = store::transfers::find(&state.pool, caller.tenant.as_str(), transfer_id(&id)?).await?;
    let transfer = transfer.ok_or_else(no_transfer)?;
    let mut response = conditional::json(&request, transfer.tag(), || TransferBody::from(&transfer));
    if transfer.state == TransferState::Pending {
        response.headers_mut().insert(RETRY_AFTER, PENDING_RETRY_AFTER);
    }
    Ok(response)
}
