#![doc = include_str!("../README.md")]
#![deny(clippy::wildcard_enum_match_arm)]

mod body;
mod boundary;
mod code;
mod convert;
mod error;
mod json;
mod limits;
#[cfg(feature = "cursor")]
mod list;
mod metrics;
#[cfg(feature = "openapi")]
pub mod openapi;
mod problems;
mod query;
mod routes;

pub use boundary::error_boundary;
pub use code::Code;
pub use error::{ApiError, Detail};
pub use json::{
    Json, JsonLimit,
    read::{FromJson, Members, Node},
    refuse_ambiguous,
};
#[cfg(feature = "cursor")]
pub use list::{ListParameters, page_response};
pub use query::{FromQuery, Parameters, Query, refuse_parameters};
pub use routes::{configure, method_not_allowed, not_found, wrong_method};
