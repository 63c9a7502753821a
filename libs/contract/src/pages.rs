//! What every API serves about itself: its document, the pages of error codes, the policy of versions.

use actix_web::{
    HttpResponse,
    http::header,
    web::{Bytes, Data, Path},
};
use api_error::{ApiError, Code};

use crate::{Operation, operation, ui};

/// Why anyone may see these pages.
pub(crate) const PUBLIC: &str = "documentation, the same for everyone";

/// Pages that change with a release only.
const CACHE: &str = "public, max-age=300";

/// The document, rendered.
#[derive(Clone, Debug)]
pub(crate) struct Document(pub(crate) Bytes);

/// Returns the operations of these pages.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        operation!(openapi_json).public(PUBLIC),
        operation!(versioning).public(PUBLIC),
        operation!(ui::without_slash).public(PUBLIC),
        operation!(ui::index).public(PUBLIC),
        operation!(ui::file).public(PUBLIC).errors(&[Code::NotFound]),
        operation!(problem).public(PUBLIC).errors(&[Code::NotFound]),
    ]
}

/// The OpenAPI document of this service.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "read_document", tag = "documentation",
    responses((status = 200, description = "The document.", body = Object, content_type = "application/json")),
)]
async fn openapi_json(document: Data<Document>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, CACHE))
        .body(document.0.clone())
}

/// How versions come and go.
#[utoipa::path(
    get, path = "/docs/versioning", operation_id = "explain_versions", tag = "documentation",
    responses((status = 200, description = "The policy, as Markdown.", body = String, content_type = "text/plain")),
)]
async fn versioning() -> HttpResponse {
    markdown(include_str!("../../../docs/versioning.md"))
}

/// What an error code means, what the caller does, what the operator looks at.
///
/// `type` of `application/problem+json` leads here.
#[utoipa::path(
    get, path = "/problems/{code}", operation_id = "explain_error", tag = "documentation",
    params(("code" = String, Path, description = "A code, as in an error's body.", example = "not_found")),
    responses((status = 200, description = "The page, as Markdown.", body = String, content_type = "text/plain")),
)]
async fn problem(code: Path<String>) -> Result<HttpResponse, ApiError> {
    let code = Code::from_name(&code).ok_or_else(|| {
        ApiError::new(Code::NotFound, "There is no such error code.")
            .with_detail("/path/code", "is not a code")
    })?;
    Ok(markdown(code.page()))
}

/// As plain text, which a browser shows and does not save.
fn markdown(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, CACHE))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text)
}
