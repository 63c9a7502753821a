//! Reconciler: compares what clients were answered with what the system holds.
//!
//! A pure function of both sides. [`crate::observe`] reads a running system; [`ClientLog`] is what a client records while it works.
//!
//! Copies are counted and are no fault: when email-consumer dies between the mail server's acceptance of a mail and its own commit,
//! it sends the mail again with the same `Message-ID`; the outbox may publish an event again with the same id. A second mail or
//! event with another id is a fault.

mod compare;
mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

pub use compare::reconcile;
use derive_more::Display;
pub use report::Report;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Everything that the clients of a run were answered.
#[derive(Clone, Debug, Default)]
pub struct ClientLog {
    /// Each order that a client asked for, by its idempotency key.
    pub orders: BTreeMap<Uuid, OrderRecord>,
    /// The target of each link, by its code.
    pub links: BTreeMap<String, String>,
    /// Faults that clients found during the run.
    pub faults: Vec<Fault>,
}

/// One order as its client knows it.
#[derive(Clone, Debug)]
pub struct OrderRecord {
    /// Intended start of the first request.
    pub due_at: Instant,
    /// Whether the time to its mail counts; orders placed before the run or as warm-up do not count.
    pub counted: bool,
    /// How often the request was sent.
    pub n_sends: u32,
    /// The lines of the request.
    pub lines: Vec<Line>,
    /// The order ids of all answers that accepted the request. More than one is a fault.
    pub ids: BTreeSet<Uuid>,
    /// The reason of a rejection by a client error.
    pub refusal: Option<String>,
}

impl OrderRecord {
    /// An order whose request is due at `due_at` and counts as sent once.
    pub fn new(due_at: Instant, counted: bool, lines: Vec<Line>) -> Self {
        Self { due_at, counted, n_sends: 1, lines, ids: BTreeSet::new(), refusal: None }
    }
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Line {
    /// The product.
    pub sku: String,
    /// Number of pieces.
    pub quantity: u32,
}

/// Everything that the observed system holds.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The acknowledged orders that exist.
    pub orders: BTreeMap<Uuid, Order>,
    /// The mails to the customer of the run; `None` when the target names no mailbox.
    pub mails: Option<MailTimes>,
    /// The events of the customer of the run; `None` when the target names no topic.
    pub events: Option<Events>,
    /// The target of each link that exists.
    pub links: BTreeMap<String, String>,
}

/// The arrival times of mails by `Message-ID`: more than one for copies.
pub type MailTimes = BTreeMap<String, Vec<Instant>>;

/// The events of each order, by their id.
pub type Events = BTreeMap<Uuid, BTreeMap<Uuid, SeenEvent>>;

/// One event as the topic has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenEvent {
    /// The type.
    pub event_type: EventType,
    /// How often it was published.
    pub n_seen: u32,
    /// The place of its first copy among all messages that were read. The events of an order are in one partition.
    pub place: usize,
    /// Whether two copies have different contents.
    pub is_changed: bool,
}

impl SeenEvent {
    /// An event that was published once.
    pub fn new(event_type: EventType, place: usize) -> Self {
        Self { event_type, n_seen: 1, place, is_changed: false }
    }
}

/// The types of an order's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    /// `OrderPlaced`.
    Placed,
    /// `OrderConfirmed`.
    Confirmed,
    /// `OrderRejected`.
    Rejected,
}

/// An order as the order service returns it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Order {
    /// The id.
    pub id: Uuid,
    /// The state.
    pub state: State,
    /// Why it was rejected.
    #[serde(default)]
    pub rejection_reason: Option<String>,
    /// The lines.
    pub lines: Vec<Line>,
}

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Display)]
#[serde(rename_all = "lowercase")]
#[display(rename_all = "lowercase")]
pub enum State {
    /// Accepted, not final.
    Pending,
    /// Final: the stock is reserved.
    Confirmed,
    /// Final: the stock was too small.
    Rejected,
}

impl State {
    /// Reports whether the state never changes.
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }
}

/// One difference between both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// What differs.
    pub what: String,
}

impl Fault {
    /// A fault of a kind.
    pub fn new(kind: FaultKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}

/// The kinds of differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Display)]
#[serde(rename_all = "lowercase")]
#[display(rename_all = "lowercase")]
pub enum FaultKind {
    /// Acknowledged, but does not exist.
    Missing,
    /// Exists more than once.
    Duplicate,
    /// Exists with another content.
    Different,
    /// Not final within the time limit.
    Unfinished,
}

impl ClientLog {
    /// Returns the acknowledged orders by id.
    pub fn acknowledged(&self) -> BTreeMap<Uuid, &OrderRecord> {
        self.orders.values().flat_map(|record| record.ids.iter().map(move |id| (*id, record))).collect()
    }

    /// The fault of an order that no client was answered with: the second order of a key, unless a client gave up before it had its first.
    pub fn unknown_order(&self) -> FaultKind {
        let has_given_up =
            self.orders.values().any(|record| record.ids.is_empty() && record.refusal.is_none());
        if has_given_up { FaultKind::Unfinished } else { FaultKind::Duplicate }
    }
}
