//! Compares what clients were told with what the system holds.
//!
//! Pure: it is handed both sides. [`crate::observe`] looks at a running system; whatever a client keeps while it works goes into
//! [`Told`].
//!
//! One thing may happen twice: when email-consumer dies between the mail server's acceptance of a mail and its own commit, the
//! mail goes out again, with the same `Message-ID`; and an event may be published again with the same id. Such copies are counted
//! apart and are no fault; a second mail or event with another id is.

mod orders;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::Serialize;
use uuid::Uuid;

pub use report::Report;

/// Everything clients were told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Each request for an order, by its idempotency key.
    pub orders: BTreeMap<Uuid, Promise>,
    /// Each link, by its code: where it was said to lead.
    pub links: BTreeMap<String, String>,
    /// Faults that clients saw by themselves while the run went on.
    pub seen: Vec<Fault>,
}

/// What became of one request for an order, as its client knows.
#[derive(Clone, Debug)]
pub struct Promise {
    /// When the first request was due.
    pub due_at: Instant,
    /// Whether the time to its mail counts: not of an order that was placed before the run, or to warm up.
    pub counted: bool,
    /// How often it was sent.
    pub n_sends: u32,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// The ids of all answers that accepted it; one, if all is well.
    pub ids: BTreeSet<Uuid>,
    /// Why it was refused, when the last answer was about the request itself or said that nothing was done.
    pub refusal: Option<String>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub struct Line {
    /// The product.
    pub sku: String,
    /// How many.
    pub quantity: u32,
}

/// Everything the system holds, as far as somebody looked.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Each acknowledged order; one that is not in here was not found.
    pub orders: BTreeMap<Uuid, Order>,
    /// The mails to the customer of the run; nothing where there is no mailbox to look into.
    pub mails: Option<Arrivals>,
    /// The events of the customer of the run; nothing where there is no topic to look into.
    pub events: Option<Events>,
    /// Where each link leads; one that is not in here leads nowhere.
    pub links: BTreeMap<String, String>,
}

/// When each mail was seen, under its `Message-ID`; a copy with the same id is one more time.
pub type Arrivals = BTreeMap<String, Vec<Instant>>;

/// The events of each order: by their id, the type, and how often the event is there.
pub type Events = BTreeMap<Uuid, BTreeMap<Uuid, (EventType, u32)>>;

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

/// An order as the order service shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Order {
    /// Its id.
    pub id: Uuid,
    /// Where it is on its way.
    pub state: State,
    /// What was ordered.
    pub lines: Vec<Line>,
}

/// Where an order is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepted, and not final yet.
    Pending,
    /// There was enough of everything.
    Confirmed,
    /// There was not.
    Rejected,
}

/// One way in which both sides disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which way.
    pub kind: FaultKind,
    /// What it is about.
    pub what: String,
}

/// The ways in which both sides can disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// Promised, and not there.
    Missing,
    /// There once more than promised.
    Duplicate,
    /// There, and not as promised.
    Different,
    /// Begun, and not brought to an end in the time it was given.
    Unfinished,
}

impl Fault {
    /// A fault of a kind.
    pub fn new(kind: FaultKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}

impl State {
    /// Whether it stays so.
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending => false,
            Self::Confirmed | Self::Rejected => true,
        }
    }

    /// The word for it in the API and in the ids of mails.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Told {
    /// The orders that clients were told they have, with when their first request was due.
    pub fn acknowledged(&self) -> BTreeMap<Uuid, &Promise> {
        self.orders.values().flat_map(|promise| promise.ids.iter().map(move |id| (*id, promise))).collect()
    }
}

/// Compares both sides.
pub fn reconcile(told: &Told, held: &Held) -> Report {
    let mut report = Report::new(told, held);
    orders::compare(told, held, &mut report);
    for (code, target) in &told.links {
        match held.links.get(code) {
            None => report.fault(FaultKind::Missing, format!("link {code} leads nowhere")),
            Some(held) if held != target => {
                report.fault(FaultKind::Different, format!("link {code} leads to another target"));
            }
            Some(_) => {}
        }
    }
    report.latencies.sort_unstable();
    report
}
