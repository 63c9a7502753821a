//! `GET /v1/accounts/{account_id}`.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};
use api_error::ApiError;
use http_api::{Caller, conditional};

use super::{
    account_body::AccountBody,
    id::{account_id, no_account},
};
use crate::{state::State, store};

/// Returns an account with its balance.
///
/// An account of another tenant returns 404.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}", tag = "accounts",
    params(
        ("account_id" = Uuid, Path, description = "Id of the account.", example = "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of an earlier response. The response is 304 if the account has not changed."),
    ),
    responses(
        (
            status = 200, description = "The current state and balance of the account.", body = AccountBody,
            headers(("ETag" = String, description = "Version of the account. It differs after every change of state or balance.")),
        ),
        (status = 304, description = "The account has not changed since the response with this `ETag`."),
    ),
)]
pub(super) async fn get_account(
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let account = store::accounts::find(&state.pool, caller.tenant.as_str(), account_id(&id)?).await?;
    let account = account.ok_or_else(no_account)?;
    Ok(conditional::json(&request, account.tag(), || AccountBody::from(&account)))
}
