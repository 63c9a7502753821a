//! `PUT /v1/links/{code}`: idempotent by nature, so it needs no idempotency key.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header,
    web::{Data, Path},
};
use api_error::{ApiError, Code as ErrorCode, Json};
use http_api::Caller;
use http_api::conditional::{Conditions, precondition_failed};

use super::{
    link_body::{LinkBody, location},
    target_body::TargetBody,
};
use crate::{
    app::State,
    domain::{Code, InvalidCode, Link, Put},
    metrics, store,
};

/// Creates a link with this code, or changes its target.
///
/// The operation is idempotent: repeating it changes nothing. With `If-Match`, it changes only the version that the client knows. With
/// `If-None-Match: *`, it creates a link and changes no existing one.
#[utoipa::path(
    put, path = "/v1/links/{code}", tag = "links",
    params(
        (
            "code" = String, Path, description = "Code of the link: unused, or of a link of the caller's tenant.",
            pattern = "^[A-Za-z0-9_-]{6,32}$", example = "order-17",
        ),
        (
            "If-Match" = Option<String>, Header,
            description = "Change the link only if its `ETag` is listed here. `*`: only if the link exists.",
            pattern = r#"^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$"#,
        ),
        (
            "If-None-Match" = Option<String>, Header,
            description = "`*`: create the link only if it does not exist. An `ETag`: change only another version.",
            pattern = r#"^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$"#,
        ),
    ),
    request_body = TargetBody,
    responses(
        (status = 200, description = "The link existed and has this target now.", body = LinkBody),
        (
            status = 201, description = "The link is created.", body = LinkBody,
            headers(("Location" = String, description = "Path of the link.")),
        ),
    ),
)]
pub(super) async fn put_link(
    state: Data<State>,
    request: HttpRequest,
    caller: Caller,
    code: Path<String>,
    conditions: Conditions,
    body: Json<TargetBody>,
) -> Result<HttpResponse, ApiError> {
    let code: Code = code.parse().map_err(invalid_code)?;
    let target = body.into_inner().target(&request, &state.public_url)?;

    // Before the answer, however it turns out: a failed COMMIT may have happened, and an unchanged link may have been changed by
    // another replica.
    let _invalidation = state.targets.invalidate_on_drop(code.clone());
    let wanted = (caller.tenant.clone(), code, target, conditions);
    let put = pg::run_tx(&state.pool, "put_link", &wanted, |tx, (tenant, code, target, conditions)| {
        Box::pin(async move {
            if conditions.are_none() {
                store::put(tx, tenant, code, target).await
            } else {
                store::put_if(tx, tenant, code, target, conditions).await
            }
        })
    })
    .await?;
    fail_point::hit("links.committed");

    metrics::PUTS.with_label_values(&[put.label()]).inc();
    let (mut response, link) = match put {
        Put::Created(link) => (created(&link), link),
        Put::Updated(link) | Put::Unchanged(link) => (HttpResponse::Ok(), link),
        Put::Taken => return Err(taken()),
        Put::ConditionsFailed => return Err(precondition_failed()),
    };
    Ok(response.json(LinkBody::new(link, &state.public_url)))
}

fn created(link: &Link) -> HttpResponseBuilder {
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, location(&link.code)));
    response
}

fn invalid_code(error: InvalidCode) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, "The code in the path is invalid. See details.")
        .with_detail("/path/code", error.to_string())
}

/// Whose it is would tell one tenant about another.
fn taken() -> ApiError {
    ApiError::new(ErrorCode::Conflict, "This code is in use. Choose another code.")
}
