//! `GET /v1/links/{code}`: a tenant's look at its own link.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};
use api_error::{ApiError, Code as ErrorCode};
use auth::Caller;

use super::link_body::LinkBody;
use crate::{app::State, domain::Code, store};

pub(super) async fn get_link(
    state: Data<State>,
    request: HttpRequest,
    caller: Caller,
    code: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Ok(code) = code.parse::<Code>() else { return Err(unknown()) };
    let link = pg::run_tx(&state.pool, "get_link", &(caller.tenant, code), |tx, (tenant, code)| {
        Box::pin(store::find(tx, tenant, code))
    })
    .await?
    .ok_or_else(unknown)?;
    let tag = format!("{}-{}", link.code, link.version);
    Ok(conditional_get::json(&request, tag, || LinkBody::new(link, &state.public_url)))
}

/// The same for a link that is not there and for another tenant's.
fn unknown() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "There is no link with this code. Check the code and the tenant.")
}
