//! Decides whether a refusal is about one mail or about all: temporary refusals, and refusals that may concern every mail.
//!
//! A server that refuses all mails is down, and every mail is tried again in place. If it has accepted another mail of this process since it last
//! refused the one mail, it is not down, and the refusal is about the one mail. This state is lost with the process, which costs a few more attempts.

use std::{collections::HashMap, time::Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::smtp::{Error, Reply};

/// Number of refusals, each after the server accepted another mail, until an unclear refusal is final. More than one, because both can cross at
/// the end of an outage.
const ATTEMPTS: u32 = 3;

/// Maximum number of refused mails in memory. Only a server that refuses all mails exceeds it, and then no refusal is about one mail.
const MAX_REFUSED: usize = 10_000;

#[derive(Default)]
pub(crate) struct Refusals(Mutex<State>);

#[derive(Default)]
struct State {
    last_sent: Option<Instant>,
    refused: HashMap<Uuid, Refused>,
}

struct Refused {
    last: Instant,
    /// Number of refusals with another accepted mail between it and the one before.
    n_alone: u32,
}

impl Refusals {
    pub(super) fn sent(&self, event_id: Uuid) {
        let mut state = self.0.lock();
        state.last_sent = Some(Instant::now());
        state.refused.remove(&event_id);
    }

    /// Returns the error of an attempt: `RefusedForNow` or `RefusedAlone` if the refusal is about this mail.
    pub(super) fn classify(&self, event_id: Uuid, error: Error) -> Error {
        let error = match error {
            Error::Refused(reply) if !reply.is_permanent() => match self.count_alone(event_id) {
                0 => error,
                _ => Error::RefusedForNow(reply),
            },
            Error::Unclear(reply) => self.unclear(event_id, reply, error),
            other => other,
        };
        if error.is_final() {
            self.0.lock().refused.remove(&event_id);
        }
        error
    }

    fn unclear(&self, event_id: Uuid, reply: Reply, error: Error) -> Error {
        match self.count_alone(event_id) {
            ..ATTEMPTS => error,
            _ if reply.is_permanent() => Error::RefusedAlone(reply),
            _ => Error::RefusedForNow(reply),
        }
    }

    /// Counts a refusal, and returns how many were about this mail; zero if this one may be about all mails, because the server accepted no
    /// other one since the refusal before.
    fn count_alone(&self, event_id: Uuid) -> u32 {
        let mut state = self.0.lock();
        if state.refused.len() >= MAX_REFUSED {
            state.refused.clear();
        }
        let (now, last_sent) = (Instant::now(), state.last_sent);
        let refused = state.refused.entry(event_id).or_insert(Refused { last: now, n_alone: 0 });
        let is_alone = last_sent.is_some_and(|sent| sent > refused.last);
        refused.last = now;
        if !is_alone {
            return 0;
        }
        refused.n_alone += 1;
        refused.n_alone
    }
}
