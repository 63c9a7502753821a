//! Mails that are refused while others are taken: a refusal that can be over later, or that does not say whom it concerns, is tried
//! again, and not for ever. One recipient must not hold up a key, its offset, and in the end its partition.
//!
//! A server that refuses everybody is down, however long; one that has taken another mail since is not. That is asked of
//! this process's own mails. What is known is lost with it, which costs a few more attempts.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::smtp::{Error, Reply};

/// How often a mail is refused, after the server took another one, before that is held to be its last word. More than
/// once, for the two can cross at the moment at which an outage ends.
const ATTEMPTS: u32 = 3;

/// Mails that are remembered. More are refused only when all are, and then nothing is given up.
const MAX_REMEMBERED: usize = 10_000;

/// The refusals that are not final yet.
pub(crate) struct Refusals {
    /// For how long a mail is tried that is refused for now.
    give_up: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_sent: Option<Instant>,
    refused: HashMap<Uuid, Refused>,
}

struct Refused {
    since: Instant,
    /// How often since another mail was taken.
    alone: u32,
}

impl Refusals {
    /// Gives a mail that is refused for now up after this time.
    pub(crate) fn new(give_up: Duration) -> Self {
        Self { give_up, state: Mutex::default() }
    }

    /// Notes that the server took a mail.
    pub(super) fn sent(&self, event_id: Uuid) {
        let mut state = self.state();
        state.last_sent = Some(Instant::now());
        state.refused.remove(&event_id);
    }

    /// Returns what the failure of an attempt means after those before it.
    pub(super) fn judge(&self, event_id: Uuid, error: Error) -> Error {
        match error {
            Error::Refused(reply) if !reply.is_permanent() => self.repeated(event_id, reply, error),
            Error::Unclear(reply) => self.repeated(event_id, reply, error),
            other => other,
        }
    }

    fn repeated(&self, event_id: Uuid, reply: Reply, error: Error) -> Error {
        let mut state = self.state();
        if state.refused.len() >= MAX_REMEMBERED {
            state.refused.clear();
        }
        let last_sent = state.last_sent;
        let refused =
            state.refused.entry(event_id).or_insert_with(|| Refused { since: Instant::now(), alone: 0 });
        if last_sent.is_some_and(|sent| sent > refused.since) {
            refused.alone += 1;
        }
        let patience = if reply.is_permanent() { Duration::ZERO } else { self.give_up };
        if refused.alone < ATTEMPTS || refused.since.elapsed() < patience {
            return error;
        }
        state.refused.remove(&event_id);
        Error::RefusedAlone(reply)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }
}
