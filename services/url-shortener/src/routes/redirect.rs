//! `GET /{code}`: the redirect, for anyone who knows the code.

use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Path},
};
use api_error::{ApiError, Code as ErrorCode};

use crate::{app::State, domain::Code, metrics, store};

/// Leads to the link's target.
#[utoipa::path(
    method(get, head), path = "/{code}", tag = "redirects",
    params(("code" = String, Path, description = "The link's code.", example = "order-17")),
    responses((
        status = 302, description = "The target is in `Location`.",
        headers(
            ("Location" = String, description = "The target."),
            ("Referrer-Policy" = String, description = "`no-referrer`: the target is not told where its visitor was."),
        ),
    )),
)]
pub(super) async fn redirect(state: Data<State>, code: Path<String>) -> Result<HttpResponse, ApiError> {
    let Ok(code) = code.parse::<Code>() else {
        metrics::REDIRECTS.with_label_values(&["malformed"]).inc();
        return Err(unknown());
    };
    let target =
        pg::run_tx(&state.pool, "redirect", &code, |tx, code| Box::pin(store::find_target(tx, code))).await?;
    let Some(target) = target else {
        metrics::REDIRECTS.with_label_values(&["unknown"]).inc();
        return Err(unknown());
    };
    metrics::REDIRECTS.with_label_values(&["found"]).inc();
    Ok(HttpResponse::Found()
        .insert_header((header::LOCATION, target.as_str()))
        // The target can change, so nobody may keep this answer.
        .insert_header((header::CACHE_CONTROL, "private, max-age=0"))
        // The short URL can be a capability, and so can the target: neither is told to the other's visitors.
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish())
}

fn unknown() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "There is no link with this code. Check that it was copied whole.")
}
