//! `POST /v1/transfers`.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use api_error::{ApiError, FromJson, Json, Members, Node};
use http_api::Caller;
use idempotency::http::{self, Answer, Effect, Key, Request, Stored};
use money::Money;
use pg::{Tx, TxFuture};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    accept::accept,
    id::Id,
    transfer_body::{MoneyBody, TransferBody},
};
use crate::{
    domain::{Instruction, Reference},
    state::State,
};

/// A transfer to make.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTransfer, example = json!({
    "source": "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11",
    "destination": "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d12",
    "amount": { "value": 1998, "currency": "EUR" },
    "reference": "Invoice 7",
}))]
pub(super) struct NewTransfer {
    /// Id of the account that the amount leaves.
    #[schema(value_type = Uuid)]
    source: Uuid,
    /// Id of the account that gets the amount: another account of the same tenant, with the same currency.
    #[schema(value_type = Uuid)]
    destination: Uuid,
    #[schema(value_type = MoneyBody)]
    amount: Money,
    /// What the transfer is for.
    #[schema(value_type = String, min_length = 1, max_length = 140, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    reference: Reference,
}

impl FromJson for NewTransfer {
    fn from_json(body: Node<'_>) -> Option<Self> {
        body.object(|transfer| {
            let source = transfer.required_text("source").map(|Id(id)| id);
            let destination = destination(transfer, source);
            let amount = transfer.required("amount", MoneyBody::read);
            let reference = transfer.required_text("reference");
            Some(Self { source: source?, destination: destination?, amount: amount?, reference: reference? })
        })
    }
}

fn destination(transfer: &mut Members<'_>, source: Option<Uuid>) -> Option<Uuid> {
    transfer.required("destination", |node| {
        let Id(id) = node.text()?;
        if source == Some(id) {
            node.refuse("must be another account than the source".to_owned())
        } else {
            Some(id)
        }
    })
}

/// Transfers an amount from one account to another.
///
/// The transfer is `pending`, and its amount is held: it lowers the `available` balance of the source, not the `posted` one. Poll the path in
/// `Location` for the end. Retries with the same `Idempotency-Key` make one transfer and get the same response.
#[utoipa::path(
    post, path = "/v1/transfers", tag = "transfers",
    params((
        "Idempotency-Key" = String, Header, description = "Unique key of this request, such as a UUID. A retry sends the same key.",
        min_length = 1, max_length = 255, pattern = "^[!#-~]+$", example = "8e03978e-40d5-43dd-bc93-6894a57f9324",
    )),
    request_body = NewTransfer,
    responses((
        status = 202, description = "The transfer is accepted and `pending`.", body = TransferBody,
        headers(
            ("Location" = String, description = "Path of the transfer."),
            ("Idempotent-Replayed" = String, description = "`true` if this response is a replay of the response to an earlier request."),
        ),
    )),
)]
pub(super) async fn create_transfer(
    caller: Caller,
    key: Key,
    request: HttpRequest,
    body: Json<NewTransfer>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (body, raw) = body.into_parts();
    let NewTransfer { source, destination, amount, reference } = body;
    let tenant = caller.tenant.as_str();
    let request = Request::new(tenant, key, &request, &raw)?;
    let instruction = Instruction { source, destination, amount, reference, reverses: None };
    let create = CreateTransfer { tenant, instruction };
    let response = http::local(&state.pool, "create_transfer", &request, state.retention, &create).await?;
    state.settlement.notify_one();
    Ok(response)
}

struct CreateTransfer<'a> {
    tenant: &'a str,
    instruction: Instruction,
}

impl Effect for CreateTransfer<'_> {
    type Error = ApiError;
    type Found = ();

    fn read<'t>(&'t self, _: &'t Tx<'_>) -> TxFuture<'t, (), ApiError> {
        Box::pin(async { Ok(()) })
    }

    fn run<'t>(&'t self, tx: &'t Tx<'_>, (): (), answer: Answer<'t>) -> TxFuture<'t, Stored, ApiError> {
        Box::pin(accept(tx, self.tenant, self.instruction.clone(), answer))
    }
}
