//! `POST /v1/links`: a link with a random code. It is not idempotent by itself, so it needs an idempotency key.

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

use super::link_body::{LinkBody, TargetBody, code_at, location};
use crate::{
    domain::{Code, PublicUrl, Target},
    state::State,
    store,
};

/// Maximum number of random codes for one link. Two codes collide with a probability of 2^-95.
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
    let create = CreateLink { tenant: &caller.tenant, target: &target, public_url: &state.public_url };
    let response = http::local(&state.pool, "create_link", &keyed, state.retention, &create).await?;
    // The cache may have a 404 for this code: from a request before its creation, or because another replica created the link of a replay.
    // A code that failed to commit was never returned to a client.
    let location = response.headers().get(LOCATION).map(HeaderValue::to_str);
    if let Some(code) = location.and_then(Result::ok).and_then(code_at) {
        state.targets.invalidate(&code);
    }
    Ok(response)
}

struct CreateLink<'a> {
    tenant: &'a Tenant,
    target: &'a Target,
    public_url: &'a PublicUrl,
}

impl Effect for CreateLink<'_> {
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
            Err(ApiError::internal("all random codes are in use"))
        })
    }
}
