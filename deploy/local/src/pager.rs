//! A pager for one machine: takes what Alertmanager sends, keeps it in a file, and shows it as a phone would.
//!
//! The file has one notice on each line, oldest first. It is bounded: when it is full, it becomes the previous file, what was the
//! previous one is gone, and what is open begins the next one.

mod asking;
mod file;
mod heartbeat;
mod notice;
mod receiver;
mod screen;
mod told;

pub(crate) use receiver::{Settings, serve};
pub(crate) use screen::show;
