//! Pipelined statements of one transaction: the answer to BEGIN, and the first failure.
//!
//! After a failure the server refuses every further statement with 25P02 (`in_failed_sql_transaction`), which does not name
//! the cause. When statements travel together, such a refusal can be polled before the answer of the statement that
//! failed. It then waits for that answer and becomes a copy of it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use deadpool_postgres::ClientWrapper;
use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::Notify;

use crate::Error;

pub(super) struct Begin<'a>(tokio::sync::Mutex<State<'a>>);

enum State<'a> {
    Sent(BoxFuture<'a, Result<(), tokio_postgres::Error>>),
    Answered(Result<(), Error>),
}

impl<'a> Begin<'a> {
    pub(super) async fn send(client: &'a ClientWrapper) -> Self {
        let mut answer = client.batch_execute("BEGIN").boxed();
        // The first poll puts it on the connection.
        let state = match futures::poll!(answer.as_mut()) {
            Poll::Pending => State::Sent(answer),
            Poll::Ready(answer) => State::Answered(answer.map_err(Error::from)),
        };
        Self(tokio::sync::Mutex::new(state))
    }

    /// Waits for the server's answer; the same one each time.
    pub(super) async fn answer(&self) -> Result<(), Error> {
        let mut state = self.0.lock().await;
        let answer = match &mut *state {
            State::Sent(answer) => answer.await.map_err(Error::from),
            State::Answered(answer) => return answer.clone(),
        };
        *state = State::Answered(answer.clone());
        answer
    }
}

/// The failures of the statements of one transaction.
#[derive(Default)]
pub(super) struct Failures {
    outcomes: Mutex<Outcomes>,
    changed: Notify,
}

#[derive(Default)]
struct Outcomes {
    /// Statements in flight whose future still exists.
    unanswered: usize,
    /// A statement's future was dropped before its answer.
    dropped: bool,
    first: Option<Error>,
}

/// A statement that was sent, or is about to be.
pub(super) struct Unanswered<'a> {
    failures: &'a Failures,
    answered: bool,
}

impl Failures {
    /// Counts a statement; keep the result until the statement is answered.
    pub(super) fn sending(&self) -> Unanswered<'_> {
        self.outcomes().unanswered += 1;
        Unanswered { failures: self, answered: false }
    }

    /// Records a failure and returns it; only the first counts.
    pub(super) fn record(&self, failure: Error) -> Error {
        self.outcomes().first.get_or_insert_with(|| failure.clone());
        self.changed.notify_waiters();
        failure
    }

    pub(super) fn first(&self) -> Option<Error> {
        self.outcomes().first.clone()
    }

    /// Waits for the first failure; `None` when each statement that can have it was dropped.
    ///
    /// The caller must not count as unanswered any more.
    pub(super) async fn wait_for_first(&self) -> Option<Error> {
        loop {
            let changed = self.changed.notified();
            if let Some(first) = self.first() {
                return Some(first);
            }
            if self.outcomes().unanswered == 0 {
                return None;
            }
            changed.await;
        }
    }

    /// Whether the outcome of a statement is unknown because its future was dropped.
    pub(super) fn has_dropped(&self) -> bool {
        self.outcomes().dropped
    }

    fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unanswered<'_> {
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let mut outcomes = self.failures.outcomes();
        outcomes.unanswered -= 1;
        outcomes.dropped |= !self.answered;
        drop(outcomes);
        self.failures.changed.notify_waiters();
    }
}
