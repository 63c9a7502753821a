//! The page on which a person reads and tries the API. Everything it loads comes from this process.

use std::sync::{Arc, LazyLock};

use actix_web::{HttpResponse, http::header, web::Path};
use api_error::{ApiError, Code};
use utoipa_swagger_ui::Config;

/// Scripts and requests of this origin only. Swagger UI sets styles on its elements, and has its icons in the style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Swagger UI would otherwise send the document to a validator on the internet.
static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("../openapi.json").validator_url("none")));

/// How long a browser may keep these answers: they change with a release only.
const CACHE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=300");

/// Leads to the page, for those who type its address.
#[utoipa::path(
    get, path = "/docs", operation_id = "find_docs", tag = "documentation",
    responses((
        status = 308, description = "The page is at `Location`.",
        headers(("Location" = String, description = "Where the page is.")),
    )),
)]
pub(crate) async fn without_slash() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header(CACHE)
        .insert_header((header::LOCATION, "/docs/"))
        .finish()
}

/// A page to read and try the API on.
#[utoipa::path(
    get, path = "/docs/", operation_id = "read_docs", tag = "documentation",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")),
)]
pub(crate) async fn index() -> Result<HttpResponse, ApiError> {
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
pub(crate) async fn file(file: Path<String>) -> Result<HttpResponse, ApiError> {
    serve(&file)
}

fn serve(name: &str) -> Result<HttpResponse, ApiError> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG))
        .map_err(|error| ApiError::internal(error.to_string()))?
        .ok_or_else(|| {
            ApiError::new(Code::NotFound, "There is no such file.").with_detail("/path/file", "is not a file")
        })?;
    Ok(HttpResponse::Ok()
        .content_type(file.content_type)
        .insert_header(CACHE)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(file.bytes.into_owned()))
}
