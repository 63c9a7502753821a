//! The result of a reconciliation.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::{ClientLog, Fault, FaultKind, Observed};

/// Maximum number of faults in the text of a report.
const MAX_SHOWN: usize = 20;

/// The result of a reconciliation.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Orders that clients asked for, each with its own idempotency key.
    pub n_sent: usize,
    /// Of those, sent more than once: on purpose, or because an answer was missing.
    pub n_repeated: usize,
    /// Requests that were refused.
    pub n_refused: usize,
    /// The reason of the first refusal.
    pub refusal: Option<String>,
    /// Orders that clients have an id of.
    pub n_acknowledged: usize,
    /// Of those, confirmed.
    pub n_confirmed: usize,
    /// Of those, rejected.
    pub n_rejected: usize,
    /// Whether mails were compared.
    pub saw_mails: bool,
    /// Final orders with their mail.
    pub n_with_mail: usize,
    /// Mails that arrived again with the same id.
    pub n_copies: usize,
    /// Whether events were compared.
    pub saw_events: bool,
    /// Events of those orders, each counted once.
    pub n_events: usize,
    /// Events that were published again with the same id.
    pub n_event_copies: usize,
    /// Links that clients put.
    pub n_links: usize,
    /// Time from the intended start of a request to its mail, in ascending order; of counted orders.
    #[serde(skip)]
    pub latencies: Vec<Duration>,
    /// All differences.
    pub faults: Vec<Fault>,
}

impl Report {
    pub(super) fn new(log: &ClientLog, observed: &Observed) -> Self {
        let refused = log.orders.values().filter(|order| order.ids.is_empty());
        let refusals: Vec<_> = refused.filter_map(|order| order.refusal.as_ref()).collect();
        Self {
            n_sent: log.orders.len(),
            n_repeated: log.orders.values().filter(|order| order.n_sends > 1).count(),
            n_refused: refusals.len(),
            refusal: refusals.first().copied().cloned(),
            n_acknowledged: log.acknowledged().len(),
            saw_mails: observed.mails.is_some(),
            saw_events: observed.events.is_some(),
            n_links: log.links.len(),
            faults: log.faults.clone(),
            ..Self::default()
        }
    }

    pub(super) fn fault(&mut self, kind: FaultKind, what: String) {
        self.faults.push(Fault { kind, what });
    }

    /// Returns the time to mail that `percent` of the orders did not exceed (nearest rank).
    pub fn mail_percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.checked_sub(1)?).copied()
    }

    /// Writes a line for each count, without the faults.
    pub fn write_counts(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let copies = |n: usize| format!("{n} copies with the same id");
        if self.saw_mails {
            writeln!(formatter, "orders with one mail  {} ({})", self.n_with_mail, copies(self.n_copies))?;
        } else {
            writeln!(formatter, "orders with one mail  not compared: the target names no mailbox")?;
        }
        if self.saw_events {
            writeln!(formatter, "events                {} ({})", self.n_events, copies(self.n_event_copies))?;
        } else {
            writeln!(formatter, "events                not compared: the target names no topic")?;
        }
        writeln!(formatter, "links                 {}", self.n_links)?;
        if let (Some(p50), Some(p99)) = (self.mail_percentile(50), self.mail_percentile(99)) {
            let (p50, p99) = (p50.as_millis(), p99.as_millis());
            writeln!(formatter, "order to mail         p50 {p50} ms, p99 {p99} ms")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_counts(formatter)?;
        write!(formatter, "faults                {}", self.faults.len())?;
        for Fault { kind, what } in self.faults.iter().take(MAX_SHOWN) {
            write!(formatter, "\n  {kind}: {what}")?;
        }
        let n_hidden = self.faults.len().saturating_sub(MAX_SHOWN);
        if n_hidden > 0 { write!(formatter, "\n  and {n_hidden} more") } else { Ok(()) }
    }
}
