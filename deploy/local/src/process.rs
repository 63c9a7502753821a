//! Processes of a stack: start, identification, state, stop.
//!
//! Invariant: a signal goes only to a process that was recorded. A pid alone does not identify a process, because the kernel reuses
//! pids; see [`Identity`].

mod identity;
mod launch;
mod stat;

pub(crate) use identity::Identity;
pub(crate) use launch::{Launch, PREVIOUS, java};
pub(crate) use stat::{RunState, proportional_mib, resident_mib};
