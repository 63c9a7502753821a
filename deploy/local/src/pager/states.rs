//! The last event of each alert, and so which alerts are open.

use super::event::{AlertEvent, Status};

/// How many alerts are remembered.
const MEMORY: usize = 1_000;

/// The last event of each alert, in the order in which they came.
#[derive(Default)]
pub(super) struct AlertStates(Vec<AlertEvent>);

impl AlertStates {
    /// The states after these events, the oldest first.
    pub(super) fn of(events: impl IntoIterator<Item = AlertEvent>) -> Self {
        let mut states = Self::default();
        for event in events {
            states.record(event);
        }
        states
    }

    /// Alerts that began and did not end: pages before everything else, each the oldest first.
    pub(super) fn open(&self) -> Vec<&AlertEvent> {
        let mut open: Vec<_> = self.0.iter().filter(|event| event.status == Status::Firing).collect();
        open.sort_by_key(|event| (event.severity != "page", event.began()));
        open
    }

    /// What only Alertmanager knows about: whether what is open goes on, and whether what was inferred to have ended began again.
    pub(super) fn unconfirmed(&self) -> Vec<&AlertEvent> {
        let is_unconfirmed = |last: &&AlertEvent| last.status == Status::Firing || last.is_inferred();
        self.0.iter().filter(is_unconfirmed).collect()
    }

    /// Whether an event changes the state of its alert. Alertmanager repeats a group when anything in it changes, and what was
    /// on its way while it restarted can come late.
    pub(super) fn is_new(&self, event: &AlertEvent) -> bool {
        let Some(last) = self.0.iter().find(|last| last.fingerprint == event.fingerprint) else {
            return true;
        };
        match (last.status, event.status) {
            (Status::Firing, Status::Resolved) => event.ended() > last.began(),
            (Status::Resolved, Status::Resolved) => false,
            // An end that was only inferred is taken back by whoever knows better.
            (Status::Resolved, Status::Firing) if last.is_inferred() => event.began() >= last.began(),
            (_, Status::Firing) => event.began() > last.began(),
        }
    }

    /// Remembers a event. Beyond the bound, what ended is forgotten before what is open.
    pub(super) fn record(&mut self, event: AlertEvent) {
        self.0.retain(|last| last.fingerprint != event.fingerprint);
        self.0.push(event);
        if self.0.len() > MEMORY {
            let ended = self.0.iter().position(|last| last.status == Status::Resolved);
            self.0.remove(ended.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firing(fingerprint: &str, minute: u32) -> AlertEvent {
        AlertEvent {
            received_at: format!("2026-01-01T00:{minute:02}:30Z"),
            status: Status::Firing,
            severity: "page".to_owned(),
            alert: "TargetDown".to_owned(),
            service: "orders".to_owned(),
            slo: None,
            starts_at: format!("2026-01-01T00:{minute:02}:00Z"),
            ends_at: None,
            found: None,
            summary: String::new(),
            description: String::new(),
            runbook: String::new(),
            fingerprint: fingerprint.to_owned(),
        }
    }

    fn resolved(fingerprint: &str, from: u32, until: u32) -> AlertEvent {
        let ends_at = Some(format!("2026-01-01T00:{until:02}:00Z"));
        AlertEvent { status: Status::Resolved, ends_at, ..firing(fingerprint, from) }
    }

    #[test]
    fn what_ended_is_not_open_and_the_oldest_page_comes_first() {
        let ticket = AlertEvent { severity: "ticket".to_owned(), ..firing("t", 1) };
        let states =
            AlertStates::of([ticket, firing("a", 7), firing("b", 3), firing("c", 5), resolved("c", 5, 9)]);
        let open: Vec<_> = states.open().iter().map(|event| event.fingerprint.as_str()).collect();
        assert_eq!(open, ["b", "a", "t"]);
    }

    #[test]
    fn repetitions_and_late_arrivals_are_no_news() {
        let states = AlertStates::of([firing("a", 1), resolved("a", 1, 2), firing("a", 5)]);
        for old in [firing("a", 1), resolved("a", 1, 2), firing("a", 5)] {
            assert!(!states.is_new(&old), "{old:?}");
        }
        for new in [resolved("a", 5, 6), firing("a", 7), firing("b", 1), resolved("b", 1, 2)] {
            assert!(states.is_new(&new), "{new:?}");
        }
    }

    #[test]
    fn only_an_end_that_was_concluded_is_taken_back_by_the_same_alert() {
        let ended = resolved("a", 1, 2);
        assert!(!AlertStates::of([ended.clone()]).is_new(&firing("a", 1)));
        let inferred = AlertEvent { found: Some("no longer firing".to_owned()), ..ended.clone() };
        let states = AlertStates::of([inferred]);
        assert!(states.is_new(&firing("a", 1)));
        assert!(!states.is_new(&ended), "its end is known already");
    }

    #[test]
    fn what_is_open_is_remembered_longer_than_what_ended() {
        let mut states = AlertStates::of([firing("open", 1)]);
        for other in 0..2 * MEMORY {
            states.record(resolved(&other.to_string(), 1, 2));
        }
        assert_eq!(states.0.len(), MEMORY);
        assert_eq!(states.open().len(), 1);
    }
}
