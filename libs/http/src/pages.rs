//! The documentation that every API serves: its OpenAPI document, Swagger UI, the pages of error codes, the policy of versions.

use std::{
    borrow::Cow,
    convert::Infallible,
    iter,
    sync::{Arc, LazyLock},
};

use actix_web::{
    HttpResponse,
    body::{MessageBody, SizedStream},
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
    web::{Bytes, Data, Path},
};
use api_error::{ApiError, Code};
use futures::stream;
use utoipa_swagger_ui::Config;

use crate::{Operation, operation};

/// The tag of these operations in the document.
pub(crate) const TAG: &str = "documentation";

/// Why these pages need no token.
const PUBLIC: &str = "documentation, the same for everyone";

/// These responses change with a release only.
const CACHE: (HeaderName, &str) = (CACHE_CONTROL, "public, max-age=300");

const NOSNIFF: (HeaderName, &str) = (X_CONTENT_TYPE_OPTIONS, "nosniff");

/// Scripts and requests of this origin only. Swagger UI sets styles on its elements, and has its icons in the style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file is sent in pieces of this size. actix copies a body as a whole, also for a client that does not read it.
const PIECE: usize = 16 * 1024;

/// `validator_url` of `none` keeps Swagger UI from sending the document to a validator on the internet.
static SWAGGER_UI: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("../openapi.json").validator_url("none")));

/// The document, rendered.
#[derive(Clone, Debug)]
pub(crate) struct Document(pub(crate) Bytes);

/// Returns the operations of these pages.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        operation!(openapi_json).public(PUBLIC),
        operation!(versioning).public(PUBLIC),
        operation!(docs_redirect).public(PUBLIC),
        operation!(docs_index).public(PUBLIC),
        operation!(docs_file).public(PUBLIC).errors(&[Code::NotFound]),
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
        .insert_header(CACHE)
        .body(in_pieces(document.0.clone()))
}

/// The policy of API versions.
#[utoipa::path(
    get, path = "/docs/versioning", operation_id = "explain_versions", tag = "documentation",
    responses((status = 200, description = "The policy, as Markdown.", body = String, content_type = "text/plain")),
)]
async fn versioning() -> HttpResponse {
    markdown(include_str!("../../../docs/versioning.md"))
}

/// Redirects to the page.
#[utoipa::path(
    get, path = "/docs", operation_id = "find_docs", tag = "documentation",
    responses((
        status = 308, description = "The page is at `Location`.",
        headers(("Location" = String, description = "The address of the page.")),
    )),
)]
async fn docs_redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header(CACHE).insert_header((LOCATION, "/docs/")).finish()
}

/// A page to read and try the API (Swagger UI).
#[utoipa::path(
    get, path = "/docs/", operation_id = "read_docs", tag = "documentation",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")),
)]
async fn docs_index() -> Result<HttpResponse, ApiError> {
    serve("index.html")
}

/// A file of that page.
#[utoipa::path(
    get, path = "/docs/{file}", operation_id = "read_docs_file", tag = "documentation",
    params(("file" = String, Path, description = "The name of the file.", example = "swagger-ui.css")),
    responses((status = 200, description = "The file.", content(
        (Vec<u8> = "text/html"), (Vec<u8> = "text/css"), (Vec<u8> = "text/javascript"),
        (Vec<u8> = "image/png"), (Vec<u8> = "application/octet-stream"), (Vec<u8> = "application/json"),
    ))),
)]
async fn docs_file(file: Path<String>) -> Result<HttpResponse, ApiError> {
    serve(&file)
}

fn serve(name: &str) -> Result<HttpResponse, ApiError> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&SWAGGER_UI))
        .map_err(|error| ApiError::internal(error.to_string()))?
        .ok_or_else(|| {
            ApiError::new(Code::NotFound, "This file does not exist.")
                .with_detail("/path/file", "is not a file")
        })?;
    Ok(HttpResponse::Ok()
        .content_type(file.content_type)
        .insert_header(CACHE)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header(NOSNIFF)
        .body(in_pieces(match file.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        })))
}

fn in_pieces(mut bytes: Bytes) -> impl MessageBody {
    let length = bytes.len() as u64;
    let pieces = iter::from_fn(move || {
        let piece = bytes.split_to(bytes.len().min(PIECE));
        (!piece.is_empty()).then_some(Ok::<_, Infallible>(piece))
    });
    SizedStream::new(length, stream::iter(pieces))
}

/// The page of an error code: its meaning, what the client does, what the operator checks.
///
/// `type` of `application/problem+json` links to it.
#[utoipa::path(
    get, path = "/problems/{code}", operation_id = "explain_error", tag = "documentation",
    params(("code" = String, Path, description = "A code, as in an error's body.", example = "not_found")),
    responses((status = 200, description = "The page, as Markdown.", body = String, content_type = "text/plain")),
)]
async fn problem(code: Path<String>) -> Result<HttpResponse, ApiError> {
    let code = Code::from_name(&code).ok_or_else(|| {
        ApiError::new(Code::NotFound, "This error code does not exist.")
            .with_detail("/path/code", "is not a code")
    })?;
    Ok(markdown(code.page()))
}

/// As plain text, which a browser shows instead of saving it.
fn markdown(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header(CACHE)
        .insert_header(NOSNIFF)
        .body(text)
}
