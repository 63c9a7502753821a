//! Start, stop and server of a service: a real process, real signals, its log and its exit code.
#![expect(clippy::unwrap_used, reason = "test harness")]

mod backlog;
mod open_files;
mod pipelining;
mod probe;
mod response_headers;
mod startup;
mod stop;
mod traces;
