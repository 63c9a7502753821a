//! Ids in paths, queries and bodies.

use std::str::FromStr;

use api_error::{ApiError, Code};
use thiserror::Error;
use uuid::Uuid;

/// An id from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) Uuid);

/// The message follows the name of the field.
#[derive(Clone, Copy, Debug, Error)]
#[error("must be a UUID, such as 0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11")]
pub(super) struct InvalidId;

impl FromStr for Id {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::try_parse(text).map(Self).or(Err(InvalidId))
    }
}

/// Reads an account id in the path.
pub(super) fn account_id(text: &str) -> Result<Uuid, ApiError> {
    in_path(text, "account_id", no_account)
}

/// Reads a transfer id in the path.
pub(super) fn transfer_id(text: &str) -> Result<Uuid, ApiError> {
    in_path(text, "transfer_id", no_transfer)
}

fn in_path(text: &str, parameter: &str, not_found: fn() -> ApiError) -> Result<Uuid, ApiError> {
    let id: Result<Id, InvalidId> = text.parse();
    id.map(|id| id.0)
        .map_err(|error| not_found().with_detail(format!("/path/{parameter}"), error.to_string()))
}

/// The same for a missing account and for one of another tenant.
pub(super) fn no_account() -> ApiError {
    ApiError::new(Code::NotFound, "The account does not exist. Check the id and the tenant.")
}

/// The same for a missing transfer and for one of another tenant.
pub(super) fn no_transfer() -> ApiError {
    ApiError::new(Code::NotFound, "The transfer does not exist. Check the id and the tenant.")
}
