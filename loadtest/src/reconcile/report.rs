//! The result of a reconciliation.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Fault, FaultKind, Held, Told};

/// How many faults are shown one by one.
const SHOWN: usize = 20;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests for orders, each with a key of its own.
    pub n_sent: usize,
    /// Those that were sent more than once, on purpose or for want of an answer.
    pub n_repeated: usize,
    /// Requests that were refused.
    pub n_refused: usize,
    /// Why the first of them was.
    pub refusal: Option<String>,
    /// Orders that clients were told they have.
    pub n_acknowledged: usize,
    /// Of those, confirmed.
    pub n_confirmed: usize,
    /// Of those, rejected.
    pub n_rejected: usize,
    /// Whether somebody looked for mails.
    pub saw_mails: bool,
    /// Final orders with their mail.
    pub n_with_mail: usize,
    /// Mails that came again with the same id.
    pub n_copies: usize,
    /// Whether somebody looked for events.
    pub saw_events: bool,
    /// Events of those orders, each counted once.
    pub n_events: usize,
    /// Events that are there again with the same id.
    pub n_event_copies: usize,
    /// Links that clients were told of.
    pub n_links: usize,
    /// From when a request was due to its mail, shortest first; of those that count.
    #[serde(skip)]
    pub latencies: Vec<Duration>,
    /// Everything on which both sides disagree.
    pub faults: Vec<Fault>,
}

impl Report {
    pub(super) fn new(told: &Told, held: &Held) -> Self {
        let refused = || told.orders.values().filter(|p| p.ids.is_empty()).filter_map(|p| p.refusal.as_ref());
        Self {
            n_sent: told.orders.len(),
            n_repeated: told.orders.values().filter(|promise| promise.n_sends > 1).count(),
            n_refused: refused().count(),
            refusal: refused().next().cloned(),
            n_acknowledged: told.acknowledged().len(),
            n_confirmed: 0,
            n_rejected: 0,
            saw_mails: held.mails.is_some(),
            n_with_mail: 0,
            n_copies: 0,
            saw_events: held.events.is_some(),
            n_events: 0,
            n_event_copies: 0,
            n_links: told.links.len(),
            latencies: Vec::new(),
            faults: told.seen.clone(),
        }
    }

    pub(super) fn fault(&mut self, kind: FaultKind, what: String) {
        self.faults.push(Fault { kind, what });
    }

    pub(super) fn faults_of(&mut self, kind: FaultKind, whats: impl Iterator<Item = String>) {
        self.faults.extend(whats.map(|what| Fault { kind, what }));
    }

    /// The latency that `percent` of the mails did not exceed (nearest rank).
    pub fn mail_percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.checked_sub(1)?).copied()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_sent, n_repeated, n_refused, n_acknowledged, n_confirmed, n_rejected, .. } = self;
        writeln!(formatter, "orders sent           {n_sent} ({n_repeated} more than once)")?;
        if let Some(refusal) = &self.refusal {
            writeln!(formatter, "orders refused        {n_refused}, the first: {refusal}")?;
        }
        writeln!(formatter, "orders acknowledged   {n_acknowledged}")?;
        let n_final = n_confirmed + n_rejected;
        writeln!(
            formatter,
            "orders final          {n_final} ({n_confirmed} confirmed, {n_rejected} rejected)"
        )?;
        let copies = |n: usize| format!("{n} came again with the same id");
        if self.saw_mails {
            writeln!(formatter, "orders with one mail  {} ({})", self.n_with_mail, copies(self.n_copies))?;
        } else {
            writeln!(formatter, "orders with one mail  not looked at: the target names no mailbox")?;
        }
        if self.saw_events {
            writeln!(formatter, "events                {} ({})", self.n_events, copies(self.n_event_copies))?;
        } else {
            writeln!(formatter, "events                not looked at: the target names no topic")?;
        }
        writeln!(formatter, "links                 {}", self.n_links)?;
        if let (Some(p50), Some(p99)) = (self.mail_percentile(50), self.mail_percentile(99)) {
            let (p50, p99) = (p50.as_millis(), p99.as_millis());
            writeln!(formatter, "order to mail         p50 {p50} ms, p99 {p99} ms")?;
        }
        write!(formatter, "faults                {}", self.faults.len())?;
        for Fault { kind, what } in self.faults.iter().take(SHOWN) {
            write!(formatter, "\n  {kind}: {what}")?;
        }
        let n_hidden = self.faults.len().saturating_sub(SHOWN);
        if n_hidden > 0 { write!(formatter, "\n  and {n_hidden} more") } else { Ok(()) }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::Different => "different",
            Self::Unfinished => "unfinished",
        })
    }
}
