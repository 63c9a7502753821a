//! `PUT` and `GET /v1/instructions/{id}`. `PUT` is idempotent: the client chooses the id.

use actix_web::{
    HttpResponse,
    http::header::LOCATION,
    web::{Data, Path},
};
use api_error::{ApiError, Code, FromJson, Json, Node};
use utoipa::ToSchema;

use crate::{
    body::InstructionBody,
    book::{Case, Put},
    domain::{Identifier, InvalidIdentifier, Terms},
    metrics,
    state::State,
};

/// The largest amount: every JSON implementation reads it exactly.
const MAX_AMOUNT: i64 = 9_007_199_254_740_991;

/// What the bank should do.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInstruction, example = json!({
    "amount_minor": 1250, "currency": "EUR", "source": "acc-1", "destination": "acc-2",
    "webhook_url": "http://127.0.0.1:7000/webhooks",
}))]
#[expect(dead_code, reason = "describes the body, which is read as `Terms`")]
struct TermsBody {
    /// Amount in the minor unit of the currency.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    amount_minor: i64,
    /// A currency of ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$")]
    currency: String,
    /// Account that is debited.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    source: String,
    /// Account that is credited.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    destination: String,
    /// Where the bank sends the decision. Without it, the client polls.
    #[schema(max_length = 2048, pattern = "^[Hh][Tt][Tt][Pp][Ss]?://")]
    webhook_url: Option<String>,
}

impl FromJson for Terms {
    fn from_json(body: Node<'_>) -> Option<Self> {
        body.object(|body| {
            let amount_minor = body.required("amount_minor", |amount| amount.integer(1..=MAX_AMOUNT));
            let currency = body.required_text("currency");
            let source = body.required_text("source");
            let destination = body.required_text("destination");
            let webhook_url = body.optional_text("webhook_url");
            Some(Self {
                amount_minor: amount_minor?,
                currency: currency?,
                source: source?,
                destination: destination?,
                webhook_url: webhook_url?,
            })
        })
    }
}

/// Instructs the bank to move money.
///
/// A retry sends the same id and the same body, and gets the state of the instruction. The decision comes later: poll it, or wait for the webhook.
#[utoipa::path(
    put, path = "/v1/instructions/{id}", tag = "instructions",
    params((
        "id" = String, Path, description = "Id that the client chooses.", pattern = "^[A-Za-z0-9_-]{1,64}$", example = "t-17",
    )),
    request_body = TermsBody,
    responses(
        (status = 200, description = "The instruction is decided.", body = InstructionBody),
        (
            status = 202, description = "The instruction is accepted, and not decided yet.", body = InstructionBody,
            headers(("Location" = String, description = "Path of the instruction.")),
        ),
    ),
)]
pub(super) async fn put_instruction(
    state: Data<State>,
    id: Path<String>,
    terms: Json<Terms>,
) -> Result<HttpResponse, ApiError> {
    let id: Identifier = id.parse().map_err(invalid_id)?;
    let misbehaviour = state.switch.get();
    let withholds_answer = misbehaviour.withholds_answer(&id);
    match state.book.put(id, terms.into_inner(), &misbehaviour).await.map_err(ApiError::internal)? {
        Put::Created(_) if withholds_answer => {
            metrics::MISBEHAVIOUR.with_label_values(&["timeout"]).inc();
            // The error boundary ends the request at REQUEST_TIMEOUT_MS.
            std::future::pending().await
        }
        Put::Created(case) | Put::Known(case) => Ok(answer(case)),
        Put::Conflict => Err(conflict()),
    }
}

fn answer(case: Case) -> HttpResponse {
    if case.decision().is_some() {
        return HttpResponse::Ok().json(InstructionBody::new(case));
    }
    let location = format!("/v1/instructions/{}", case.acceptance.id);
    HttpResponse::Accepted().insert_header((LOCATION, location)).json(InstructionBody::new(case))
}

fn invalid_id(error: InvalidIdentifier) -> ApiError {
    ApiError::new(Code::InvalidRequest, "The id in the path is invalid. See details.")
        .with_detail("/path/id", error.to_string())
}

fn conflict() -> ApiError {
    let message =
        "The id belongs to an instruction with another body. Send that body again, or choose another id.";
    ApiError::new(Code::Conflict, message)
}

/// Returns an instruction. This is the truth, also when a webhook says something else.
#[utoipa::path(
    get, path = "/v1/instructions/{id}", tag = "instructions",
    params(("id" = String, Path, description = "Id of the instruction.", example = "t-17")),
    responses((status = 200, description = "The present state of the instruction.", body = InstructionBody)),
)]
pub(super) async fn get_instruction(state: Data<State>, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let Ok(id) = id.parse() else { return Err(unknown()) };
    let found = state.book.find(&id).await.map_err(ApiError::internal)?;
    let case = found.ok_or_else(unknown)?;
    Ok(HttpResponse::Ok().json(InstructionBody::new(case)))
}

fn unknown() -> ApiError {
    ApiError::new(Code::NotFound, "The bank has no instruction with this id.")
}
