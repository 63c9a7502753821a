//! `GET` and `PUT /misbehaviour` on the admin port.

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use api_error::{ApiError, Code};

use crate::{domain::Misbehaviour, state::Switch};

/// Returns how the bank misbehaves.
#[utoipa::path(
    get, path = "/misbehaviour", tag = "misbehaviour",
    responses((status = 200, description = "The present misbehaviour.", body = Misbehaviour)),
)]
pub(super) async fn get_misbehaviour(switch: Data<Switch>) -> HttpResponse {
    HttpResponse::Ok().json(switch.get())
}

/// Changes how the bank misbehaves. A member that is absent gets its default.
///
/// What will become of an instruction is decided when it is accepted, so a change applies to later instructions; `down` applies at once.
#[utoipa::path(
    put, path = "/misbehaviour", tag = "misbehaviour",
    request_body = Misbehaviour,
    responses((status = 200, description = "The new misbehaviour.", body = Misbehaviour)),
)]
pub(super) async fn put_misbehaviour(switch: Data<Switch>, body: Bytes) -> Result<HttpResponse, ApiError> {
    // For an operator at a terminal, the message of serde is enough.
    let misbehaviour: Misbehaviour =
        serde_json::from_slice(&body).map_err(|error| invalid(error.to_string()))?;
    misbehaviour.check().map_err(|error| invalid(error.to_string()))?;
    tracing::info!(?misbehaviour, "the misbehaviour is changed");
    switch.set(misbehaviour.clone());
    Ok(HttpResponse::Ok().json(misbehaviour))
}

fn invalid(message: String) -> ApiError {
    ApiError::new(Code::InvalidRequest, "The misbehaviour is not valid. See details.")
        .with_detail("", message)
}
