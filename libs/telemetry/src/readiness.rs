//! Readiness: whether this process should get traffic, with a health check for each dependency.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, join_all};
use serde::Serialize;

/// The timeout of one check: shorter than that of a probe.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a result is cached, so that the load of checks does not depend on the number of probes.
const CACHE_FOR: Duration = Duration::from_millis(500);

/// A dependency and its check.
#[derive(Clone)]
struct Dependency {
    name: &'static str,
    required: bool,
    check: Arc<Check>,
}

type Check = dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// The readiness of one process: its phase, and a check for each dependency. Clones share it.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Inner>);

#[derive(Default)]
struct Inner {
    started: AtomicBool,
    draining: AtomicBool,
    checks: Mutex<Vec<Dependency>>,
    /// Locked while the checks run: concurrent probes share one run.
    latest: tokio::sync::Mutex<Option<(Instant, BTreeMap<&'static str, String>)>>,
}

/// Why a process is ready or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Send traffic.
    Ready,
    /// Start-up is not finished.
    Starting,
    /// The process is shutting down.
    Draining,
    /// Send traffic. A dependency is down that requests do not need.
    Degraded,
    /// A dependency is down that requests need.
    Unavailable,
}

impl Status {
    /// Returns whether the process should get traffic.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }
}

/// The answer of `/ready`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether the process should get traffic, and why not.
    pub status: Status,
    /// `ok`, or the fault, for each dependency.
    pub checks: BTreeMap<&'static str, String>,
}

impl Readiness {
    /// Returns the readiness of a starting process, without checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the check of a dependency that requests need. Its error is a message for an operator.
    pub fn add<F>(&self, name: &'static str, check: F)
    where
        F: Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    {
        self.checks().push(Dependency { name, required: true, check: Arc::new(check) });
    }

    /// Adds the check of a dependency that has a ping: [`add`](Self::add) with a clone of `target` for each check.
    pub fn add_ping<T, F, R, E>(&self, name: &'static str, target: T, ping: F)
    where
        T: Clone + Send + Sync + 'static,
        F: Fn(T) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.add(name, move || {
            let pinging = ping(target.clone());
            Box::pin(async move { pinging.await.map_err(|error| error.to_string()) })
        });
    }

    /// Adds the check of a dependency that requests do not need: while it is down, the service is ready and `degraded`.
    pub fn add_deferrable<F>(&self, name: &'static str, check: F)
    where
        F: Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    {
        self.checks().push(Dependency { name, required: false, check: Arc::new(check) });
    }

    /// Marks start-up as finished.
    pub fn set_started(&self) {
        self.0.started.store(true, Ordering::Relaxed);
    }

    /// Marks the process as draining, for good.
    pub fn set_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Returns whether the process is draining.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Runs the checks, or returns the cached result.
    pub async fn report(&self) -> Report {
        let checks = self.check_all().await;
        Report { status: self.status(&checks), checks }
    }

    fn status(&self, checks: &BTreeMap<&'static str, String>) -> Status {
        if self.is_draining() {
            return Status::Draining;
        }
        if !self.0.started.load(Ordering::Relaxed) {
            return Status::Starting;
        }
        let dependencies = self.checks();
        let is_down = |it: &Dependency| checks.get(it.name).is_some_and(|outcome| outcome != "ok");
        if dependencies.iter().any(|it| it.required && is_down(it)) {
            Status::Unavailable
        } else if dependencies.iter().any(is_down) {
            Status::Degraded
        } else {
            Status::Ready
        }
    }

    async fn check_all(&self) -> BTreeMap<&'static str, String> {
        let mut latest = self.0.latest.lock().await;
        if let Some((at, outcomes)) = &*latest
            && at.elapsed() < CACHE_FOR
        {
            return outcomes.clone();
        }
        let checks = self.checks().clone();
        let outcomes: BTreeMap<_, _> = join_all(checks.iter().map(run)).await.into_iter().collect();
        log_changes(latest.as_ref().map(|(_, outcomes)| outcomes), &outcomes);
        *latest = Some((Instant::now(), outcomes.clone()));
        outcomes
    }

    fn checks(&self) -> std::sync::MutexGuard<'_, Vec<Dependency>> {
        self.0.checks.lock().expect("nothing panics while it holds the list of checks")
    }
}

async fn run(dependency: &Dependency) -> (&'static str, String) {
    let outcome = match tokio::time::timeout(CHECK_TIMEOUT, (dependency.check)()).await {
        Ok(Ok(())) => "ok".to_owned(),
        Ok(Err(problem)) => problem,
        Err(_) => format!("no answer within {} ms", CHECK_TIMEOUT.as_millis()),
    };
    (dependency.name, outcome)
}

/// Logs each change of a dependency once.
fn log_changes(before: Option<&BTreeMap<&'static str, String>>, now: &BTreeMap<&'static str, String>) {
    for (dependency, outcome) in now {
        let was_ok = before.and_then(|before| before.get(dependency)).is_none_or(|outcome| outcome == "ok");
        match (was_ok, outcome == "ok") {
            (true, false) => tracing::warn!(dependency, problem = outcome, "a dependency is unavailable"),
            (false, true) => tracing::info!(dependency, "a dependency is available again"),
            (true, true) | (false, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::{FutureExt as _, future::pending};

    use super::*;

    fn started() -> Readiness {
        let readiness = Readiness::new();
        readiness.set_started();
        readiness
    }

    #[tokio::test]
    async fn readiness_follows_start_and_drain() {
        let readiness = Readiness::new();
        assert_eq!(readiness.report().await.status, Status::Starting);
        readiness.set_started();
        assert_eq!(readiness.report().await.status, Status::Ready);
        readiness.set_draining();
        assert_eq!(readiness.report().await.status, Status::Draining);
    }

    #[tokio::test]
    async fn the_report_names_the_failed_dependency() {
        let readiness = started();
        readiness.add("postgres", || async { Ok(()) }.boxed());
        readiness.add("kafka", || async { Err("no broker answers".to_owned()) }.boxed());
        let report = readiness.report().await;
        assert_eq!(report.status, Status::Unavailable);
        assert_eq!(
            (report.checks["postgres"].as_str(), report.checks["kafka"].as_str()),
            ("ok", "no broker answers")
        );
    }

    #[tokio::test]
    async fn a_failed_optional_dependency_degrades_but_stays_ready() {
        let readiness = started();
        readiness.add_deferrable("kafka", || async { Err("no broker answers".to_owned()) }.boxed());
        let report = readiness.report().await;
        assert_eq!(report.status, Status::Degraded);
        assert!(report.status.is_ready());
        assert_eq!(report.checks["kafka"], "no broker answers");
    }

    #[tokio::test(start_paused = true)]
    async fn checks_run_in_parallel_for_one_second_at_most() {
        let readiness = started();
        for name in ["a", "b", "c"] {
            readiness.add(name, || pending().boxed());
        }
        let start = tokio::time::Instant::now();
        let report = readiness.report().await;
        assert_eq!(start.elapsed(), CHECK_TIMEOUT);
        assert!(report.checks.values().all(|outcome| outcome == "no answer within 1000 ms"), "{report:?}");
    }

    #[tokio::test]
    async fn concurrent_probes_share_one_check() {
        let readiness = started();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        readiness.add("postgres", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }.boxed()
        });
        join_all((0..20).map(|_| readiness.report())).await;
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }
}
