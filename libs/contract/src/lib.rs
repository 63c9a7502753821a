#![doc = include_str!("../README.md")]

mod api;
mod document;
mod metrics;
mod operation;
mod pages;
mod ui;
mod version;

pub use api::Api;
pub use operation::{Operation, Undecided};
pub use version::Deprecation;

/// What the expansion of [`operation!`] needs.
#[doc(hidden)]
pub use pastey;

#[cfg(test)]
mod tests;
