//! `POST /v1/bank/notifications`: a webhook of the bank. It is a hint: the transfer is polled at once, and the poll decides.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderValue, WWW_AUTHENTICATE},
    web::Data,
};
use api_error::{ApiError, Code, FromJson, Json, Node};
use chrono::Utc;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use webhook::{Headers, Refused};

use crate::{state::State, store};

/// A decision of the bank about a transfer. Only its id is read.
#[derive(Deserialize, ToSchema)]
#[schema(as = BankNotification, example = json!({
    "type": "instruction.settled",
    "timestamp": "2026-11-30T17:47:57Z",
    "data": { "id": "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d13", "status": "settled" },
}))]
struct Notification {
    data: Subject,
}

/// What the notification is about.
#[derive(Deserialize, ToSchema)]
#[schema(as = BankNotificationSubject)]
struct Subject {
    /// Id of the transfer.
    id: Uuid,
}

/// Any JSON: the signature is verified before its content is read.
pub(super) struct Unread;

impl FromJson for Unread {
    fn from_json(_: Node<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// Receives a webhook of the bank.
///
/// It is signed by the scheme of Standard Webhooks. Its content decides nothing: the service asks the bank at once what it has decided. So a webhook that is
/// repeated, late or wrong, or about an unknown transfer, has no other effect.
#[utoipa::path(
    post, path = "/v1/bank/notifications", tag = "bank",
    params(
        ("Webhook-Id" = String, Header, description = "Id of the webhook.", example = "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d13_decision"),
        ("Webhook-Timestamp" = String, Header, description = "Time of the attempt, in seconds since 1970.", example = "1796060877"),
        ("Webhook-Signature" = String, Header, description = "Signatures, separated by spaces.", example = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ),
    request_body = Notification,
    responses((status = 204, description = "The webhook is received.")),
)]
pub(super) async fn receive_notification(
    request: HttpRequest,
    body: Json<Unread>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let raw = body.raw();
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    Headers::read(header)
        .and_then(|headers| state.webhook_keys.verify(&headers, raw, Utc::now()))
        .map_err(refused)?;
    if let Ok(Notification { data: Subject { id } }) = serde_json::from_slice(raw) {
        store::settlements::wake(&state.pool, id).await?;
        state.settlement.notify_one();
    }
    Ok(HttpResponse::NoContent().finish())
}

/// The response does not say why, as that to a bad token.
fn refused(reason: Refused) -> ApiError {
    tracing::debug!(%reason, "webhook refused");
    ApiError::new(Code::Unauthenticated, "The webhook has no valid signature of the bank.")
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Webhook-Signature realm=\"ledger\""))
}
