//! `GET /v1/links/{code}`: a tenant's look at its own link.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};
use api_error::{ApiError, Code as ErrorCode};
use http_api::{Caller, conditional};

use super::link_body::LinkBody;
use crate::{app::State, domain::Code, store};

/// Returns a link.
///
/// A link of another tenant returns 404.
#[utoipa::path(
    get, path = "/v1/links/{code}", tag = "links",
    params(
        ("code" = String, Path, description = "Code of the link.", example = "order-17"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of an earlier response. The response is 304 if the link has not changed."),
    ),
    responses(
        (
            status = 200, description = "The current state of the link.", body = LinkBody,
            headers(("ETag" = String, description = "Version of the link. It differs after every change.")),
        ),
        (status = 304, description = "The link has not changed since the response with this `ETag`."),
    ),
)]
pub(super) async fn get_link(
    state: Data<State>,
    request: HttpRequest,
    caller: Caller,
    code: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Ok(code) = code.parse::<Code>() else { return Err(unknown()) };
    let link = pg::run_tx(&state.pool, "get_link", &(caller.tenant.clone(), code), |tx, (tenant, code)| {
        Box::pin(store::find(tx, tenant, code))
    })
    .await?
    .ok_or_else(unknown)?;
    Ok(conditional::json(&request, link.tag(), || LinkBody::new(link, &state.public_url)))
}

/// The same for a link that is not there and for another tenant's.
fn unknown() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "The link does not exist. Check the code and the tenant.")
}
