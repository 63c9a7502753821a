//! Rows of the outbox, as they are looked at and as they are sent.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What a record needs beside its payload in the producer: headers and bookkeeping, generously.
const OVERHEAD: usize = 1_024;

/// What keeps its order: the events of one aggregate in one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) topic: String,
    pub(crate) key: String,
}

/// A row without its payload: enough to decide whether it may be sent.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) seq: i64,
    pub(crate) key: Key,
    pub(crate) payload_len: usize,
}

impl Head {
    /// How much of the producer's queue the row takes.
    pub(crate) fn bytes(&self) -> usize {
        self.payload_len + self.key.key.len() + OVERHEAD
    }
}

/// A row as it is sent.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) seq: i64,
    pub(crate) event_id: Uuid,
    pub(crate) topic: String,
    pub(crate) key: String,
    pub(crate) event_type: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) traceparent: Option<String>,
    pub(crate) occurred_at: DateTime<Utc>,
}
