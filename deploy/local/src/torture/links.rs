//! A client that changes the targets of links and reads them meanwhile: no redirect may serve a target that was replaced longer ago than
//! the bound.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use loadtest::{
    api::Api,
    connections::{Connections, Limits, get},
    reconcile::{Fault, FaultKind},
    target::Target,
};
use serde::Serialize;
use tokio::time::sleep;

/// The promise of url-shortener.
const BOUND: Duration = Duration::from_secs(2);

/// Links that are changed in turn.
const N_LINKS: usize = 4;

/// Between two changes.
const CHANGE_EVERY: Duration = Duration::from_millis(250);

/// Between two reads.
const READ_EVERY: Duration = Duration::from_millis(40);

/// Maximum number of recorded faults.
const MAX_FAULTS: usize = 100;

/// Reads that may wait for an answer.
const READERS: usize = 4;

/// What clients know about one link.
#[derive(Debug, Default)]
pub(crate) struct LinkHistory {
    /// When a change that came after the acknowledgement of this target was acknowledged.
    replaced_at: BTreeMap<String, Instant>,
    /// The target whose acknowledgement came last.
    current: Option<String>,
}

impl LinkHistory {
    /// A change was acknowledged: the target before it is replaced.
    pub(crate) fn acknowledged(&mut self, target: String, at: Instant) {
        if let Some(before) = self.current.replace(target) {
            self.replaced_at.insert(before, at);
        }
    }

    /// How long before the start of a request its answer was replaced, if longer than the bound. A target whose change has no known
    /// outcome may take effect at any time, so it is never too old.
    pub(crate) fn too_old(&self, served: &str, started: Instant) -> Option<Duration> {
        let age = started.saturating_duration_since(*self.replaced_at.get(served)?);
        (age > BOUND).then_some(age)
    }
}

/// Counts of one run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct LinkCounts {
    pub(crate) changes: u32,
    pub(crate) unknown: u32,
    pub(crate) reads: u32,
    pub(crate) failed_reads: u32,
}

#[derive(Debug, Default)]
struct Seen {
    histories: BTreeMap<String, LinkHistory>,
    counts: LinkCounts,
    faults: Vec<Fault>,
}

/// The client of one run.
pub(crate) struct LinkClient {
    server: Connections,
    api: Api,
    codes: Vec<String>,
    seen: Mutex<Seen>,
    is_over: AtomicBool,
}

impl LinkClient {
    pub(crate) fn new(target: &Target, api: Api) -> anyhow::Result<Self> {
        let run = uuid::Uuid::new_v4().simple().to_string();
        let codes =
            (0..N_LINKS).map(|number| format!("torture-{}-{number}", run.get(..8).unwrap_or_default()));
        Ok(Self {
            server: Connections::new(&target.links_url, Limits::FEW).context("the links")?,
            api,
            codes: codes.collect(),
            seen: Mutex::default(),
            is_over: AtomicBool::new(false),
        })
    }

    /// Changes and reads links until [`Self::stop`].
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let readers = (0..READERS).map(|reader| self.read(reader));
        tokio::try_join!(self.change(), futures::future::try_join_all(readers))?;
        Ok(())
    }

    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// The counts, and a fault for each target that was too old.
    pub(crate) fn into_result(self) -> (LinkCounts, Vec<Fault>) {
        let seen = self.seen.into_inner().expect("no panic while locked");
        (seen.counts, seen.faults)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(&mut self.seen.lock().expect("no panic while locked"))
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    async fn change(&self) -> anyhow::Result<()> {
        for (version, code) in self.codes.iter().cycle().enumerate() {
            if self.is_over() {
                break;
            }
            let target = format!("https://example.com/{code}/{version}");
            let answer = self.server.send(self.api.put_link(code, &target), Instant::now()).await;
            let is_acknowledged = answer.is_ok_and(|answer| answer.status.is_success());
            self.with(|seen| {
                if is_acknowledged {
                    seen.counts.changes += 1;
                    seen.histories.entry(code.clone()).or_default().acknowledged(target, Instant::now());
                } else {
                    seen.counts.unknown += 1;
                }
            });
            sleep(CHANGE_EVERY).await;
        }
        Ok(())
    }

    async fn read(&self, reader: usize) -> anyhow::Result<()> {
        for code in self.codes.iter().cycle().skip(reader) {
            if self.is_over() {
                break;
            }
            let started = Instant::now();
            let answer = self.server.send(get(&format!("/{code}"))?, started).await;
            self.with(|seen| {
                let Some(answer) = answer.ok().filter(|answer| answer.status == 302) else {
                    seen.counts.failed_reads += 1;
                    return;
                };
                seen.counts.reads += 1;
                let served = answer.header("location");
                let age = seen.histories.get(code).and_then(|history| history.too_old(served, started));
                if let Some(age) = age.filter(|_| seen.faults.len() < MAX_FAULTS) {
                    let what =
                        format!("link {code} redirected to {served}, replaced {} ms before", age.as_millis());
                    seen.faults.push(Fault::new(FaultKind::Different, what));
                }
            });
            sleep(READ_EVERY).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_replaced_longer_ago_than_the_bound_is_too_old() {
        let start = Instant::now();
        let mut history = LinkHistory::default();
        history.acknowledged("one".to_owned(), start);
        history.acknowledged("two".to_owned(), start + Duration::from_secs(1));

        let asked = |served: &str, after_ms| history.too_old(served, start + Duration::from_millis(after_ms));
        assert_eq!(asked("one", 3_000), None, "at the bound");
        assert_eq!(asked("one", 3_500), Some(Duration::from_millis(2_500)));
        assert_eq!(asked("two", 60_000), None, "the current target");
        assert_eq!(asked("of an unknown outcome", 60_000), None);
    }
}
