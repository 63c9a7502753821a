//! The processes of a stack: how they start, how they are known again later, how they end.
//!
//! Invariant: a signal goes only to the process that was recorded. A pid alone is no proof, since
//! the kernel gives pids out again; see [`Identity`].

mod identity;
mod launch;
mod memory;
mod run_state;

pub(crate) use identity::Identity;
pub(crate) use launch::Launch;
pub(crate) use memory::{proportional_mib, resident_mib};
pub(crate) use run_state::RunState;
