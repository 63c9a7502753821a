//! An error as it is stored: what belongs to the refusal, without what belongs to one exchange.

use api_error::{ApiError, Code};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    code: String,
    message: String,
    details: Vec<Place>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    pointer: String,
    message: String,
}

pub(super) fn to_bytes(error: &ApiError) -> Vec<u8> {
    let place = |detail: &api_error::Detail| Place {
        pointer: detail.pointer.clone(),
        message: detail.message.clone().into_owned(),
    };
    let refusal = Refusal {
        code: error.code().as_str().to_owned(),
        message: error.public_message().to_owned(),
        details: error.details().iter().map(place).collect(),
    };
    serde_json::to_vec(&refusal).expect("strings and lists of them always serialise")
}

/// Returns the error, when that is what these bytes are.
pub(super) fn from_bytes(status: u16, bytes: &[u8]) -> Option<ApiError> {
    if status < 400 {
        return None;
    }
    let refusal: Refusal = serde_json::from_slice(bytes).ok()?;
    let code = *Code::ALL.iter().find(|code| code.as_str() == refusal.code)?;
    let error = ApiError::new(code, refusal.message);
    Some(
        refusal
            .details
            .into_iter()
            .fold(error, |error, place| error.with_detail(place.pointer, place.message)),
    )
}
