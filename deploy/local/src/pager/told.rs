//! What was told last about each alert, and so which alerts are open.

use super::notice::{Notice, Status};

/// How many alerts are remembered.
const MEMORY: usize = 1_000;

/// The last notice of each alert, in the order in which they came.
#[derive(Default)]
pub(super) struct Told(Vec<Notice>);

impl Told {
    /// What is told by these notices, the oldest first.
    pub(super) fn of(notices: impl IntoIterator<Item = Notice>) -> Self {
        let mut told = Self::default();
        for notice in notices {
            told.record(notice);
        }
        told
    }

    /// Alerts that began and did not end: pages before everything else, each the oldest first.
    pub(super) fn open(&self) -> Vec<&Notice> {
        let mut open: Vec<_> = self.0.iter().filter(|notice| notice.status == Status::Firing).collect();
        open.sort_by_key(|notice| (notice.severity != "page", notice.began()));
        open
    }

    /// What only Alertmanager knows about: whether what is open goes on, and whether what was concluded to have ended began again.
    pub(super) fn doubtful(&self) -> Vec<&Notice> {
        let is_doubtful = |last: &&Notice| last.status == Status::Firing || last.is_concluded();
        self.0.iter().filter(is_doubtful).collect()
    }

    /// Whether a notice says something that was not told yet. Alertmanager repeats a group when anything in it changes, and what was
    /// on its way while it restarted can come late.
    pub(super) fn is_news(&self, notice: &Notice) -> bool {
        let Some(last) = self.0.iter().find(|last| last.fingerprint == notice.fingerprint) else {
            return true;
        };
        match (last.status, notice.status) {
            (Status::Firing, Status::Resolved) => notice.ended() > last.began(),
            (Status::Resolved, Status::Resolved) => false,
            // An end that was only concluded is taken back by whoever knows better.
            (Status::Resolved, Status::Firing) if last.is_concluded() => notice.began() >= last.began(),
            (_, Status::Firing) => notice.began() > last.began(),
        }
    }

    /// Remembers a notice. Beyond the bound, what ended is forgotten before what is open.
    pub(super) fn record(&mut self, notice: Notice) {
        self.0.retain(|last| last.fingerprint != notice.fingerprint);
        self.0.push(notice);
        if self.0.len() > MEMORY {
            let ended = self.0.iter().position(|last| last.status == Status::Resolved);
            self.0.remove(ended.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firing(fingerprint: &str, minute: u32) -> Notice {
        Notice {
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

    fn resolved(fingerprint: &str, from: u32, until: u32) -> Notice {
        let ends_at = Some(format!("2026-01-01T00:{until:02}:00Z"));
        Notice { status: Status::Resolved, ends_at, ..firing(fingerprint, from) }
    }

    #[test]
    fn what_ended_is_not_open_and_the_oldest_page_comes_first() {
        let ticket = Notice { severity: "ticket".to_owned(), ..firing("t", 1) };
        let told = Told::of([ticket, firing("a", 7), firing("b", 3), firing("c", 5), resolved("c", 5, 9)]);
        let open: Vec<_> = told.open().iter().map(|notice| notice.fingerprint.as_str()).collect();
        assert_eq!(open, ["b", "a", "t"]);
    }

    #[test]
    fn repetitions_and_late_arrivals_are_no_news() {
        let told = Told::of([firing("a", 1), resolved("a", 1, 2), firing("a", 5)]);
        for old in [firing("a", 1), resolved("a", 1, 2), firing("a", 5)] {
            assert!(!told.is_news(&old), "{old:?}");
        }
        for new in [resolved("a", 5, 6), firing("a", 7), firing("b", 1), resolved("b", 1, 2)] {
            assert!(told.is_news(&new), "{new:?}");
        }
    }

    #[test]
    fn only_an_end_that_was_concluded_is_taken_back_by_the_same_alert() {
        let ended = resolved("a", 1, 2);
        assert!(!Told::of([ended.clone()]).is_news(&firing("a", 1)));
        let concluded = Notice { found: Some("no longer firing".to_owned()), ..ended.clone() };
        let told = Told::of([concluded]);
        assert!(told.is_news(&firing("a", 1)));
        assert!(!told.is_news(&ended), "its end is known already");
    }

    #[test]
    fn what_is_open_is_remembered_longer_than_what_ended() {
        let mut told = Told::of([firing("open", 1)]);
        for other in 0..2 * MEMORY {
            told.record(resolved(&other.to_string(), 1, 2));
        }
        assert_eq!(told.0.len(), MEMORY);
        assert_eq!(told.open().len(), 1);
    }
}
