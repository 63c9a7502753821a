//! Compares what a client was promised with what happened.
//!
//! One thing may happen twice: when email-consumer dies between the mail server's acceptance of a
//! mail and its own commit, the mail goes out again, with the same `Message-ID`. Such copies are
//! counted apart and are no mismatch; a second mail with another id is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::inbox::Arrivals;
use super::shop::State;

/// How many mismatches are shown one by one.
const SHOWN: usize = 20;

/// An order that a client was told it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledged {
    /// When the first request for it was due.
    pub(super) sent_at: Instant,
    pub(super) n_tries: u32,
}

/// Everything that was seen from outside.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) n_sent: usize,
    pub(super) n_retried: usize,
    /// Why requests were not acknowledged.
    pub(super) refusals: Vec<String>,
    pub(super) acknowledged: BTreeMap<Uuid, Acknowledged>,
    pub(super) states: BTreeMap<Uuid, State>,
    pub(super) arrivals: Arrivals,
}

/// The result of the comparison.
#[derive(Debug)]
pub(super) struct Report {
    n_sent: usize,
    n_retried: usize,
    n_acknowledged: usize,
    n_confirmed: usize,
    n_rejected: usize,
    n_with_mail: usize,
    n_copies: usize,
    /// From the first request to the mail, shortest first.
    latencies: Vec<Duration>,
    pub(super) mismatches: Vec<String>,
}

impl Outcome {
    pub(super) fn reconcile(&self) -> Report {
        let count = |state| self.states.values().filter(|known| **known == state).count();
        let mut report = Report {
            n_sent: self.n_sent,
            n_retried: self.n_retried,
            n_acknowledged: self.acknowledged.len(),
            n_confirmed: count(State::Confirmed),
            n_rejected: count(State::Rejected),
            n_with_mail: 0,
            n_copies: 0,
            latencies: Vec::new(),
            mismatches: self.refusals.iter().map(|why| format!("not acknowledged: {why}")).collect(),
        };
        if self.acknowledged.len() + self.refusals.len() < self.n_sent {
            report.mismatches.push("two requests with different keys got the same order".to_owned());
        }
        let mut expected = BTreeSet::new();
        for (id, acknowledged) in &self.acknowledged {
            match self.states.get(id) {
                Some(state) if state.is_final() => {
                    let prefix = format!("<order-{id}-{state}@");
                    report.look_for_mail(&prefix, acknowledged.sent_at, &self.arrivals);
                    expected.insert(prefix);
                }
                _ => report.mismatches.push(format!("order {id} is not final")),
            }
        }
        let is_expected = |id: &str| expected.iter().any(|prefix| id.starts_with(prefix));
        let unexpected = self.arrivals.keys().filter(|id| !is_expected(id));
        report.mismatches.extend(unexpected.map(|id| format!("mail {id} was not expected")));
        report.latencies.sort_unstable();
        report
    }
}

impl Report {
    fn look_for_mail(&mut self, prefix: &str, sent_at: Instant, arrivals: &Arrivals) {
        let mut found = arrivals
            .range(prefix.to_owned()..)
            .take_while(|(id, _)| id.starts_with(prefix))
            .map(|(_, times)| times);
        let Some(times) = found.next() else {
            self.mismatches.push(format!("mail {prefix}…> never arrived"));
            return;
        };
        self.n_with_mail += 1;
        self.n_copies += times.len() - 1;
        self.latencies.extend(times.first().map(|first| first.duration_since(sent_at)));
        if found.next().is_some() {
            self.mismatches.push(format!("mails {prefix}…> came from two domains"));
        }
    }

    /// The latency that `percent` of the orders did not exceed (nearest rank).
    fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.checked_sub(1)?).copied()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_sent, n_retried, n_acknowledged, n_confirmed, n_rejected, .. } = self;
        writeln!(formatter, "orders sent           {n_sent} ({n_retried} more than once)")?;
        writeln!(formatter, "orders acknowledged   {n_acknowledged}")?;
        let n_final = n_confirmed + n_rejected;
        writeln!(
            formatter,
            "orders final          {n_final} ({n_confirmed} confirmed, {n_rejected} rejected)"
        )?;
        writeln!(formatter, "orders with one mail  {}", self.n_with_mail)?;
        let why =
            if self.n_copies > 0 { " (same Message-ID: email-consumer died before its commit)" } else { "" };
        writeln!(formatter, "mails sent again      {}{why}", self.n_copies)?;
        if let (Some(p50), Some(p99)) = (self.percentile(50), self.percentile(99)) {
            let (p50, p99) = (p50.as_millis(), p99.as_millis());
            writeln!(formatter, "order to mail         p50 {p50} ms, p99 {p99} ms")?;
        }
        write!(formatter, "mismatches            {}", self.mismatches.len())?;
        for mismatch in self.mismatches.iter().take(SHOWN) {
            write!(formatter, "\n  {mismatch}")?;
        }
        let n_hidden = self.mismatches.len().saturating_sub(SHOWN);
        if n_hidden > 0 { write!(formatter, "\n  and {n_hidden} more") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One confirmed order with its mail, all as it should be.
    fn good() -> (Uuid, Outcome) {
        let id = Uuid::new_v4();
        let sent_at = Instant::now();
        let mail = format!("<order-{id}-confirmed@muster.local>");
        let outcome = Outcome {
            n_sent: 1,
            n_retried: 0,
            refusals: Vec::new(),
            acknowledged: BTreeMap::from([(id, Acknowledged { sent_at, n_tries: 1 })]),
            states: BTreeMap::from([(id, State::Confirmed)]),
            arrivals: BTreeMap::from([(mail, vec![sent_at + Duration::from_millis(40)])]),
        };
        (id, outcome)
    }

    #[test]
    fn one_mail_for_each_order_is_no_mismatch() {
        let report = good().1.reconcile();
        assert!(report.mismatches.is_empty(), "{report}");
        assert_eq!(report.percentile(99), Some(Duration::from_millis(40)));
    }

    #[test]
    fn a_copy_with_the_same_message_id_is_counted_apart() {
        let (_, mut outcome) = good();
        for times in outcome.arrivals.values_mut() {
            times.push(Instant::now());
        }
        let report = outcome.reconcile();
        assert_eq!((report.n_copies, report.mismatches.len()), (1, 0), "{report}");
    }

    #[test]
    fn a_missing_mail_is_a_mismatch() {
        let (_, mut outcome) = good();
        outcome.arrivals.clear();
        assert_eq!(outcome.reconcile().mismatches.len(), 1);
    }

    #[test]
    fn a_mail_about_another_state_is_a_mismatch() {
        let (id, mut outcome) = good();
        let other = format!("<order-{id}-rejected@muster.local>");
        outcome.arrivals.insert(other, vec![Instant::now()]);
        assert_eq!(outcome.reconcile().mismatches.len(), 1);
    }

    #[test]
    fn an_order_that_never_became_final_is_a_mismatch() {
        let (id, mut outcome) = good();
        outcome.states.insert(id, State::Pending);
        // The mail, too, is about something that never happened.
        assert_eq!(outcome.reconcile().mismatches.len(), 2);
    }

    #[test]
    fn a_request_without_acknowledgement_is_a_mismatch() {
        let (_, mut outcome) = good();
        outcome.n_sent = 2;
        outcome.refusals.push("HTTP 422".to_owned());
        assert_eq!(outcome.reconcile().mismatches.len(), 1);
    }

    #[test]
    fn one_order_for_two_requests_is_a_mismatch() {
        let (_, mut outcome) = good();
        outcome.n_sent = 2;
        assert_eq!(outcome.reconcile().mismatches.len(), 1);
    }
}
