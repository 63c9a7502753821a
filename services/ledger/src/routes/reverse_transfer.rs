//! `POST /v1/transfers/{transfer_id}/reversal`.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};
use api_error::{ApiError, Code};
use http_api::Caller;
use idempotency::http::{self, Answer, Effect, Key, Request, Stored};
use pg::{Tx, TxFuture};
use uuid::Uuid;

use super::{
    accept::accept,
    id::{no_transfer, transfer_id},
    transfer_body::TransferBody,
};
use crate::{domain::ReversalError, state::State, store};

/// Takes a transfer back: makes a transfer of the same amount in the other direction.
///
/// Only a `succeeded` transfer is reversed, and only once. It becomes `reversed` when the new transfer succeeds. If the new transfer fails,
/// another reversal can follow. A reversal itself cannot be reversed. A body is not read.
#[utoipa::path(
    post, path = "/v1/transfers/{transfer_id}/reversal", tag = "transfers",
    params(
        ("transfer_id" = Uuid, Path, description = "Id of the transfer to take back.", example = "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d13"),
        (
            "Idempotency-Key" = String, Header, description = "Unique key of this request, such as a UUID. A retry sends the same key.",
            min_length = 1, max_length = 255, pattern = "^[!#-~]+$", example = "d3c3a9a1-2f0e-4b7c-8f55-7b1f6c9e0a42",
        ),
    ),
    responses((
        status = 202, description = "The reversal is accepted and `pending`.", body = TransferBody,
        headers(
            ("Location" = String, description = "Path of the reversal, a transfer of its own."),
            ("Idempotent-Replayed" = String, description = "`true` if this response is a replay of the response to an earlier request."),
        ),
    )),
)]
pub(super) async fn reverse_transfer(
    caller: Caller,
    key: Key,
    request: HttpRequest,
    id: Path<String>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (tenant, id) = (caller.tenant.as_str(), transfer_id(&id)?);
    // In the place of a body: else the key of another transfer's reversal would get its response.
    let request = Request::new(tenant, key, &request, format!("\"{id}\"").as_bytes())?;
    let reverse = ReverseTransfer { tenant, id };
    let response = http::local(&state.pool, "reverse_transfer", &request, state.retention, &reverse).await?;
    state.settlement.notify_one();
    Ok(response)
}

struct ReverseTransfer<'a> {
    tenant: &'a str,
    id: Uuid,
}

impl Effect for ReverseTransfer<'_> {
    type Error = ApiError;
    type Found = ();

    fn read<'t>(&'t self, _: &'t Tx<'_>) -> TxFuture<'t, (), ApiError> {
        Box::pin(async { Ok(()) })
    }

    fn run<'t>(&'t self, tx: &'t Tx<'_>, (): (), answer: Answer<'t>) -> TxFuture<'t, Stored, ApiError> {
        Box::pin(async move {
            let original = store::transfers::lock(tx, self.tenant, self.id).await?.ok_or_else(no_transfer)?;
            let has_reversal = store::transfers::has_reversal(tx, self.id).await?;
            let instruction = original.reversal(has_reversal).map_err(refused)?;
            accept(tx, self.tenant, instruction, answer).await
        })
    }
}

fn refused(error: ReversalError) -> ApiError {
    match error {
        ReversalError::NotReversible => ApiError::new(
            Code::NotReversible,
            "Only a succeeded transfer can be reversed, and not a reversal. Read the transfer.",
        ),
        ReversalError::AlreadyReversed => {
            ApiError::new(Code::AlreadyReversed, "The transfer is reversed, or its reversal is pending.")
        }
    }
}
