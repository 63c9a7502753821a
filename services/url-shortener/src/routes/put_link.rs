//! `PUT /v1/links/{code}`: idempotent by nature, so it needs no idempotency key.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header,
    web::{Data, Path},
};
use api_error::{ApiError, Code as ErrorCode, Json};
use auth::Caller;
use serde::Deserialize;

use super::link_body::LinkBody;
use crate::{
    app::State,
    domain::{Code, InvalidCode, InvalidTarget, Link, Put, Target},
    metrics, store,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutLink {
    target: String,
}

pub(super) async fn put_link(
    state: Data<State>,
    request: HttpRequest,
    caller: Caller,
    code: Path<String>,
    body: Json<PutLink>,
) -> Result<HttpResponse, ApiError> {
    let code: Code = code.parse().map_err(invalid_code)?;
    let bound = request.app_config().local_addr();
    let target = Target::parse(&body.target, &state.public_url, bound).map_err(invalid_target)?;

    let wanted = (caller.tenant, code, target);
    let put = pg::run_tx(&state.pool, "put_link", &wanted, |tx, (tenant, code, target)| {
        Box::pin(store::put(tx, tenant, code, target))
    })
    .await?;
    fail_point::hit("links.committed");

    metrics::PUTS.with_label_values(&[put.label()]).inc();
    let (mut response, link) = match put {
        Put::Created(link) => (created(&link), link),
        Put::Updated(link) | Put::Unchanged(link) => (HttpResponse::Ok(), link),
        Put::Taken => return Err(taken()),
    };
    Ok(response.json(LinkBody::new(link, &state.public_url)))
}

fn created(link: &Link) -> HttpResponseBuilder {
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/v1/links/{}", link.code)));
    response
}

fn invalid_code(error: InvalidCode) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, "The code in the path cannot be used. See details.")
        .with_detail("code", error.to_string())
}

fn invalid_target(error: InvalidTarget) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, "A link cannot lead to this target. See details.")
        .with_detail("/target", error.to_string())
}

/// Whose it is would tell one tenant about another.
fn taken() -> ApiError {
    ApiError::new(ErrorCode::Conflict, "This code is taken. Put the link under another one.")
}
