//! Instructions, what becomes of them, and how the bank misbehaves.

mod fate;
mod identifier;
mod instruction;
mod misbehaviour;

pub(crate) use fate::{Decision, Fate, Notice, Reason, draw};
pub(crate) use identifier::{Identifier, InvalidIdentifier};
pub(crate) use instruction::{Acceptance, Terms};
pub(crate) use misbehaviour::{MAX_DELAY_MS, Misbehaviour};
