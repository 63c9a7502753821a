#![doc = include_str!("../README.md")]

use std::{
    collections::HashMap,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::sys::signal::{Signal, raise};

/// The environment variable that arms fail points, as `name=kill[@n]` or `name=freeze[@n]`, separated by commas.
pub const VARIABLE: &str = "MUSTER_FAIL_POINTS";

static ARMED: OnceLock<HashMap<String, Trap>> = OnceLock::new();

/// One armed fail point: what happens to the process on its `nth` passage.
#[derive(Debug)]
struct Trap {
    signal: Signal,
    nth: u64,
    passed: AtomicU64,
}

/// An invalid specification.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fail point: write `name=kill`, `name=freeze` or `name=kill@3`, separated by commas")]
pub struct InvalidSpecification(String);

/// Arms the fail points of `specification` for the life of the process.
///
/// Call once at start-up; later calls have no effect.
///
/// # Errors
/// Names the invalid part of the specification; nothing is armed then.
pub fn arm(specification: &str) -> Result<(), InvalidSpecification> {
    let traps = parse(specification)?;
    ARMED.get_or_init(|| traps);
    Ok(())
}

/// Marks a point between two writes where a test may kill the process, or freeze it until SIGCONT.
///
/// Costs one load of an unset `OnceLock` unless fail points are armed.
pub fn hit(name: &str) {
    let Some(trap) = ARMED.get().and_then(|armed| armed.get(name)) else {
        return;
    };
    if trap.passed.fetch_add(1, Ordering::Relaxed) + 1 == trap.nth {
        halt(name, trap.signal);
    }
}

/// Ends this process as `kill -9` would: no destructor, no flush, no signal handler runs. Or stops it, all threads, as a
/// host does that is out of memory or moves a virtual machine; it goes on here after SIGCONT.
///
/// The signal is for this thread, which therefore does nothing more; one for the process could reach another thread first.
fn halt(name: &str, signal: Signal) {
    tracing::warn!(
        fail_point = name,
        signal = signal.as_str(),
        "fail point reached, the process halts itself"
    );
    raise(signal).expect("a thread may always signal itself");
    if signal == Signal::SIGKILL {
        loop {
            std::thread::park();
        }
    }
}

fn parse(specification: &str) -> Result<HashMap<String, Trap>, InvalidSpecification> {
    specification
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| parse_one(part).ok_or_else(|| InvalidSpecification(part.to_owned())))
        .collect()
}

fn parse_one(part: &str) -> Option<(String, Trap)> {
    let (name, action) = part.split_once('=')?;
    let (action, nth) = match action.split_once('@') {
        None => (action, 1),
        Some((action, count)) => (action, count.parse().ok().filter(|n| *n > 0)?),
    };
    let signal = match action {
        "kill" => Signal::SIGKILL,
        "freeze" => Signal::SIGSTOP,
        _ => return None,
    };
    (!name.is_empty()).then(|| (name.to_owned(), Trap { signal, nth, passed: AtomicU64::new(0) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_names_points_and_passages() {
        let traps = parse("orders.created=kill, outbox.published=freeze@3").expect("valid");
        assert_eq!((traps["orders.created"].nth, traps["orders.created"].signal), (1, Signal::SIGKILL));
        assert_eq!((traps["outbox.published"].nth, traps["outbox.published"].signal), (3, Signal::SIGSTOP));
    }

    #[test]
    fn an_invalid_specification_is_refused_and_named() {
        for bad in ["x", "x=", "=kill", "x=explode", "x=kill@", "x=kill@0", "x=freeze@many", "x=kill2"] {
            assert_eq!(parse(bad).expect_err("invalid"), InvalidSpecification(bad.to_owned()));
        }
    }

    #[test]
    fn an_unarmed_point_does_nothing() {
        hit("an.unarmed.point");
    }
}
