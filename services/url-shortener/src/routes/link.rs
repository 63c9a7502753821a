//! `GET` and `PUT /v1/links/{code}`. `PUT` is idempotent, so it needs no idempotency key.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header,
    web::{Data, Path},
};
use api_error::{ApiError, Code as ErrorCode, Json};
use http_api::{
    Caller,
    conditional::{self, Conditions, precondition_failed},
};

use super::link_body::{LinkBody, TargetBody, location};
use crate::{
    domain::{Code, InvalidCode, Link, Put},
    metrics,
    state::State,
    store,
};

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
    let Ok(code) = code.parse::<Code>() else { return Err(not_found()) };
    let link = pg::run_tx(&state.pool, "get_link", &(caller.tenant.clone(), code), |tx, (tenant, code)| {
        Box::pin(store::find(tx, tenant, code))
    })
    .await?
    .ok_or_else(not_found)?;
    Ok(conditional::json(&request, link.tag(), || LinkBody::new(link, &state.public_url)))
}

/// The same for a missing link and for a link of another tenant.
fn not_found() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "The link does not exist. Check the code and the tenant.")
}

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

    // Invalidates before every response: a COMMIT that failed may have taken effect, and another replica may have changed a link that this
    // request leaves unchanged.
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

    metrics::PUTS.with_label_values(&[<&str>::from(&put)]).inc();
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

/// Does not tell which tenant has the code.
fn taken() -> ApiError {
    ApiError::new(ErrorCode::Conflict, "This code is in use. Choose another code.")
}
