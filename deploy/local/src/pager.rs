//! A pager for one machine: takes what Alertmanager sends, keeps it in a file, and shows it as a phone would.
//!
//! The file has one event per line, oldest first. It is bounded: when it is full, it becomes the previous file, what was the
//! previous one is gone, and what is open begins the next one.

mod event;
mod file;
mod heartbeat;
mod receiver;
mod reconcile;
mod screen;
mod states;

pub(crate) use receiver::{Settings, serve};
pub(crate) use screen::show;
