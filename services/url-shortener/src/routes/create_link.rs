//! `POST /v1/links`: a link under a code that nobody can guess. Every request makes another link, so it needs a key.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderValue, LOCATION},
    web::Data,
};
use api_error::{ApiError, Json};
use auth::Tenant;
use http_api::Caller;
use idempotency::http::{self, Answer, Effect, Key, Request, Response, Stored};
use pg::{Tx, TxFuture};

use super::{
    link_body::{LinkBody, code_at, location},
    target_body::TargetBody,
};
use crate::{
    app::State,
    domain::{Code, PublicUrl, Target},
    store,
};

/// Codes tried for one link. Two of them are the same once in 2^95, unless the random numbers are none.
const ATTEMPTS: usize = 3;

/// Creates a link with a random code.
///
/// Retries with the same `Idempotency-Key` create one link and get the same response.
#[utoipa::path(
    post, path = "/v1/links", tag = "links",
    params((
        "Idempotency-Key" = String, Header, description = "Unique key of this request, such as a UUID. A retry sends the same key.",
        min_length = 1, max_length = 255, pattern = "^[!#-~]+$", example = "8e03978e-40d5-43dd-bc93-6894a57f9324",
    )),
    request_body = TargetBody,
    responses((
        status = 201, description = "The link is created.", body = LinkBody,
        headers(
            ("Location" = String, description = "Path of the link."),
            ("Idempotent-Replayed" = String, description = "`true` if this response is a replay of the response to an earlier request."),
        ),
    )),
)]
pub(super) async fn create_link(
    state: Data<State>,
    request: HttpRequest,
    caller: Caller,
    key: Key,
    body: Json<TargetBody>,
) -> Result<HttpResponse, ApiError> {
    let (body, raw) = body.into_parts();
    let target = body.target(&request, &state.public_url)?;
    let keyed = Request::new(caller.tenant.as_str(), key, &request, &raw)?;
    let making = Making { tenant: &caller.tenant, target: &target, public_url: &state.public_url };
    let made = http::local(&state.pool, "create_link", &keyed, state.retention, &making).await?;
    // Somebody may have tried the code before it was there, and a replay may be of another replica's link. One that nobody was told
    // of, because this failed, nobody has tried.
    let location = made.headers().get(LOCATION).map(HeaderValue::to_str);
    if let Some(code) = location.and_then(Result::ok).and_then(code_at) {
        state.targets.invalidate(&code);
    }
    Ok(made)
}

/// The making of a link.
struct Making<'a> {
    tenant: &'a Tenant,
    target: &'a Target,
    public_url: &'a PublicUrl,
}

impl Effect for Making<'_> {
    type Error = ApiError;
    type Found = ();

    fn read<'t>(&'t self, _: &'t Tx<'_>) -> TxFuture<'t, (), ApiError> {
        Box::pin(async { Ok(()) })
    }

    fn run<'t>(&'t self, tx: &'t Tx<'_>, (): (), answer: Answer<'t>) -> TxFuture<'t, Stored, ApiError> {
        Box::pin(async move {
            for _ in 0..ATTEMPTS {
                if let Some(link) = store::insert(tx, self.tenant, &Code::random(), self.target).await? {
                    fail_point::hit("links.inserted");
                    let location = location(&link.code);
                    let body = LinkBody::new(link, self.public_url);
                    let response = Response::json(201, &body).with_header("location", location);
                    return Ok(answer.store(tx, response).await?);
                }
            }
            Err(ApiError::internal("every random code is taken"))
        })
    }
}
