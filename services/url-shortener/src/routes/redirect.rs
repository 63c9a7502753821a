//! `GET /{code}`: the redirect, for anyone who knows the code.

use actix_web::{
    HttpResponse,
    http::{Method, header},
    web::{Data, Path},
};
use api_error::{ApiError, Code as ErrorCode};
use read_cache::Error;

use crate::{app::State, domain::Code, metrics};

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
        return Err(unknown());
    };
    let Some(target) = state.targets.get(&code).await.map_err(not_found_out)? else {
        count("unknown");
        return Err(unknown());
    };
    count("found");
    Ok(HttpResponse::Found()
        .insert_header((header::LOCATION, target.as_str()))
        // The target can change, so nobody may keep this answer.
        .insert_header((header::CACHE_CONTROL, "private, max-age=0"))
        // The short URL can be a capability, and so can the target: neither is told to the other's visitors.
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish())
}

/// A failure of the database is answered as everywhere, although it is shared by all who waited for the same code.
fn not_found_out(error: Error<pg::Error>) -> ApiError {
    let answer = match &error {
        Error::Load(cause) if cause.is_transient() => ApiError::unavailable("PostgreSQL"),
        Error::TooSlow => ApiError::unavailable("PostgreSQL"),
        Error::Overloaded => ApiError::new(ErrorCode::Overloaded, "too many targets are being loaded"),
        Error::Load(_) | Error::Lost => return ApiError::internal(error),
    };
    answer.with_source(error)
}

fn unknown() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "The link does not exist. Check that the URL is complete.")
}
