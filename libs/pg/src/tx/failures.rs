//! The first failure of a transaction.
//!
//! After a failure the server refuses every further statement with 25P02 (`in_failed_sql_transaction`), which says nothing about
//! the cause. When statements are on their way together, such a refusal can be looked at before the answer of the statement
//! that failed. It then waits for that answer, and becomes a copy of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::Error;

/// What is known about the statements of one transaction.
#[derive(Default)]
pub(super) struct Failures {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Statements whose answer somebody still waits for.
    unanswered: usize,
    /// A statement's future was dropped before its answer.
    given_up: bool,
    first: Option<Error>,
}

/// A statement that was sent, or is about to be.
pub(super) struct Unanswered<'a> {
    failures: &'a Failures,
    answered: bool,
}

impl Failures {
    /// Notes a statement; the result is kept until it is answered.
    pub(super) fn sending(&self) -> Unanswered<'_> {
        self.state().unanswered += 1;
        Unanswered { failures: self, answered: false }
    }

    /// Notes a failure, and returns it; only the first counts.
    pub(super) fn note(&self, failure: Error) -> Error {
        self.state().first.get_or_insert_with(|| failure.copy());
        self.changed.notify_waiters();
        failure
    }

    /// Returns a copy of the first failure.
    pub(super) fn first(&self) -> Option<Error> {
        self.state().first.as_ref().map(Error::copy)
    }

    /// Waits for the first failure; `None` when no statement is left that could have it, because it was given up.
    ///
    /// Whoever waits here must not count as unanswered any more.
    pub(super) async fn wait_for_first(&self) -> Option<Error> {
        loop {
            let changed = self.changed.notified();
            if let Some(first) = self.first() {
                return Some(first);
            }
            if self.state().unanswered == 0 {
                return None;
            }
            changed.await;
        }
    }

    /// Whether the server may still run a statement, or may have failed one that nobody heard of.
    pub(super) fn has_given_up(&self) -> bool {
        self.state().given_up
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unanswered<'_> {
    /// The answer is there.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let mut state = self.failures.state();
        state.unanswered -= 1;
        state.given_up |= !self.answered;
        drop(state);
        self.failures.changed.notify_waiters();
    }
}
