//! What a consumer reads, as whom, and within which bounds.

use std::time::Duration;

/// Settings of one consumer.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The topic to read.
    pub topic: String,
    /// The consumer group: members share the partitions.
    pub group: String,
    /// Where messages go that cannot be handled.
    pub dead_letter_topic: String,
    /// How long a handler may take for one message before it is dropped and asked again. A handler whose own waits are bounded
    /// needs no shorter limit than their sum; a shorter one cuts work off that could still succeed.
    pub handler_timeout: Duration,
    /// How long the messages in hand may take when its partition is to be given up; then the work on it ends where it is.
    /// The rebalance of the whole group waits for it. Must be below [`MAX_POLL_INTERVAL`].
    pub drain_timeout: Duration,
    /// The age at which a record is due: counted as late if it is not finished then.
    pub due_after: Duration,
}

/// How long the group waits for a silent member. Short, because a stalled join of the classic protocol lasts as long.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the group waits for a member that is to give partitions up.
pub const MAX_POLL_INTERVAL: Duration = Duration::from_secs(30);
