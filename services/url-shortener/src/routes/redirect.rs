//! `GET /{code}`: the redirect. It needs no token.

use actix_web::{
    HttpResponse,
    http::{Method, header},
    web::{Data, Path},
};
use api_error::{ApiError, Code as ErrorCode};
use read_cache::Error;

use crate::{domain::Code, metrics, state::State};

/// Redirects to the target of the link.
///
/// `HEAD` returns the same headers and does not count as a visit.
#[utoipa::path(
    get, path = "/{code}", tag = "redirects",
    params(("code" = String, Path, description = "Code of the link.", example = "order-17")),
    responses((
        status = 302, description = "Redirect to the target.",
        headers(
            ("Location" = String, description = "Target URL."),
            ("Referrer-Policy" = String, description = "`no-referrer`: the browser does not send the short URL to the target."),
        ),
    )),
)]
pub(super) async fn redirect(
    state: Data<State>,
    method: Method,
    code: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let count = |outcome| {
        if method == Method::GET {
            metrics::REDIRECTS.with_label_values(&[outcome]).inc();
        }
    };
    let Ok(code) = code.parse::<Code>() else {
        count("malformed");
        return Err(not_found());
    };
    let Some(target) = state.targets.get(&code).await.map_err(lookup_failed)? else {
        count("unknown");
        return Err(not_found());
    };
    count("found");
    Ok(HttpResponse::Found()
        .insert_header((header::LOCATION, target.as_str()))
        // The target can change, so clients must not cache the redirect.
        .insert_header((header::CACHE_CONTROL, "private, max-age=0"))
        // The short URL can be a secret, so the browser must not send it to the target.
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish())
}

/// Requests that wait for the same code share one lookup and its error.
fn lookup_failed(error: Error<pg::Error>) -> ApiError {
    let answer = match &error {
        Error::Load(cause) if cause.is_transient() => ApiError::unavailable("PostgreSQL"),
        Error::TooSlow => ApiError::unavailable("PostgreSQL"),
        Error::Overloaded => ApiError::new(ErrorCode::Overloaded, "too many targets are being loaded"),
        Error::Load(_) | Error::Lost => return ApiError::internal(error),
    };
    answer.with_source(error)
}

fn not_found() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "The link does not exist. Check that the URL is complete.")
}
