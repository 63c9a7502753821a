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
    /// How long a handler may take for one message before it is asked again.
    pub handler_timeout: Duration,
    /// How long the message in hand may take when its partition is to be given up; then the work on it ends where it is.
    /// The rebalance of the whole group waits for it. Must be below [`MAX_POLL_INTERVAL`].
    pub drain_timeout: Duration,
}

/// How long the group waits for a silent member. Short, because a stalled join of the classic protocol lasts as long.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the group waits for a member that is to give partitions up.
pub const MAX_POLL_INTERVAL: Duration = Duration::from_secs(30);
