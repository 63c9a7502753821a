//! Limits the attempts for a mail that the server refuses while it accepts others: temporary refusals, and refusals that may concern every
//! mail. One recipient must not block its key, its offset and finally its partition.
//!
//! A server that refuses all mails is down, and every mail is retried. If it has accepted another mail of this process since, it is not down.
//! This state is lost with the process, which costs a few more attempts.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::smtp::{Error, Reply};

/// Number of refusals after the server accepted another mail, until the refusal is final. More than one, because both can cross at the end
/// of an outage.
const ATTEMPTS: u32 = 3;

/// Maximum number of refused mails in memory. Only a server that refuses all mails exceeds it, and then no refusal is final.
const MAX_REFUSED: usize = 10_000;

pub(crate) struct Refusals {
    /// Maximum time of attempts after a temporary refusal.
    give_up_after: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_sent: Option<Instant>,
    refused: HashMap<Uuid, Refused>,
}

struct Refused {
    since: Instant,
    /// Number of refusals after another mail was accepted.
    n_alone: u32,
}

impl Refusals {
    pub(crate) fn new(give_up_after: Duration) -> Self {
        Self { give_up_after, state: Mutex::default() }
    }

    pub(super) fn sent(&self, event_id: Uuid) {
        let mut state = self.state.lock();
        state.last_sent = Some(Instant::now());
        state.refused.remove(&event_id);
    }

    /// Returns the error of an attempt, or `RefusedAlone` if the refusal is final.
    pub(super) fn classify(&self, event_id: Uuid, error: Error) -> Error {
        match error {
            Error::Refused(reply) if !reply.is_permanent() => self.repeated(event_id, reply, error),
            Error::Unclear(reply) => self.repeated(event_id, reply, error),
            other => other,
        }
    }

    fn repeated(&self, event_id: Uuid, reply: Reply, error: Error) -> Error {
        let mut state = self.state.lock();
        if state.refused.len() >= MAX_REFUSED {
            state.refused.clear();
        }
        let last_sent = state.last_sent;
        let refused =
            state.refused.entry(event_id).or_insert_with(|| Refused { since: Instant::now(), n_alone: 0 });
        if last_sent.is_some_and(|sent| sent > refused.since) {
            refused.n_alone += 1;
        }
        let give_up_after = if reply.is_permanent() { Duration::ZERO } else { self.give_up_after };
        if refused.n_alone < ATTEMPTS || refused.since.elapsed() < give_up_after {
            return error;
        }
        state.refused.remove(&event_id);
        Error::RefusedAlone(reply)
    }
}
