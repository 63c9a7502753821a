//! Each kind of client against a real server, whose certificate a private authority signed: verified with that authority, refused
//! without it, and told what to do about it.
#![expect(clippy::unwrap_used, reason = "test harness")]

mod kafka;
mod postgres;
mod registry;

use std::error::Error;

/// Everything that a log has of an error.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
