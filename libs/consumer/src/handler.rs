//! What a service supplies.

use std::future::Future;

use crate::Message;

/// What is to become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its effect is there, now or already before.
    Done,
    /// Something it needs is not available. The reason is logged.
    Retry(String),
    /// It can never be handled. The reason travels with the dead letter, so it holds no personal data.
    DeadLetter(String),
}

/// Handles the messages of a topic.
pub trait Handler: Send + Sync + 'static {
    /// Handles one message.
    ///
    /// Called for one message of a key at a time, for several keys and partitions at once. The future is dropped when the
    /// time limit is over, when a drain takes too long, and when the partition is lost: work that must not be cut off
    /// belongs into a task of its own.
    fn handle(&self, message: &Message) -> impl Future<Output = Outcome> + Send;
}
