//! Panics as log lines: with the request's ids, and not torn apart over several lines of standard error.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::PanicHookInfo,
};

/// Replaces the process's panic hook.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let reason = panic.payload_as_str().unwrap_or("a value that is not text");
    let location = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    let thread = std::thread::current();
    tracing::error!(reason, location, backtrace, thread = thread.name(), "a thread panicked");
}
