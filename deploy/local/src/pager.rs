//! A pager for one machine: takes what Alertmanager sends, keeps it in a file, and shows it as a phone would.
//!
//! The file has one notice on each line, oldest first. It is bounded: when it is full, it becomes the previous file, and what
//! was the previous one is gone.

mod heartbeat;
mod notice;
mod receiver;
mod screen;

pub(crate) use receiver::serve;
pub(crate) use screen::show;
