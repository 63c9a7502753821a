//! Runner of a drill: traffic, fault, verification, grade. A process of its own, which the commands talk to through the journal.
//!
//! It can be killed at any moment: `muster drill repair` reads the journal and undoes what was begun.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use loadtest::reconcile::reconcile;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    definition::Drill,
    grade::Grade,
    journal::{Course, Event, Journal},
    monitor::Monitor,
    script,
    verify::{Snapshot, System},
};
use crate::{
    config::StackConfig,
    json_lines,
    process::Identity,
    target::target,
    traffic::{MAX_DURATION, Traffic},
};

/// How often the runner reads journal and pager.
const POLL: Duration = Duration::from_millis(500);

/// Limit for the time from the warm-up until the objectives are met, before anything is injected.
const WELL_WITHIN: Duration = Duration::from_mins(3);

/// Limit for the answers that clients still wait for when the fault is gone.
const ANSWERED_WITHIN: Duration = Duration::from_mins(10);

/// The reason of an abort before anything was injected.
pub(crate) const NOT_WELL: &str = "the system was not well before the fault";

/// One line of the history of all drills.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Past {
    pub(crate) at: DateTime<Utc>,
    pub(crate) drill: String,
    pub(crate) level: u8,
    pub(crate) seed: u64,
    pub(crate) surprise: bool,
    pub(crate) grade: Grade,
}

/// The file of all graded drills.
pub(crate) fn history_file(config: &StackConfig) -> PathBuf {
    config.state_dir.join("shifts.jsonl")
}

/// Runs the drill of the journal to its end.
pub(crate) async fn run(config: &StackConfig) -> anyhow::Result<()> {
    fail_point::arm(&std::env::var(fail_point::VARIABLE).unwrap_or_default())?;
    let journal = Journal::of(&config.state_dir);
    let course = Course::read(&journal)?;
    let (name, seed, surprise) = course.start().context("no drill was started")?;
    let drill = Drill::read(&config.checkout, name)?;
    let draws = drill.draw(seed);
    let identity = Identity::of(std::process::id()).context("the identity of this process")?;
    journal.append(Event::RunnerStarted { identity })?;
    let monitor = Monitor::new(config)?;
    let run =
        Run { drill: &drill, seed, surprise, draws: &draws, config, journal: &journal, monitor: &monitor };
    if let Err(error) = run.to_the_end().await {
        revert(&drill, &draws, config, &journal).await?;
        journal.append(Event::Aborted { reason: format!("{error:#}") })?;
    }
    Ok(())
}

/// Undoes the fault of a drill whose journal says that it may exist.
pub(crate) async fn revert(
    drill: &Drill,
    draws: &BTreeMap<String, String>,
    config: &StackConfig,
    journal: &Journal,
) -> anyhow::Result<()> {
    if !Course::read(journal)?.needs_revert() {
        return Ok(());
    }
    journal.append(Event::Reverting)?;
    let script = drill.script("revert").context("a drill has a revert script")?;
    script::run(&script, draws, config, journal).await.context("the fault cannot be undone")?;
    journal.append(Event::Reverted)
}

struct Run<'a> {
    drill: &'a Drill,
    seed: u64,
    surprise: bool,
    draws: &'a BTreeMap<String, String>,
    config: &'a StackConfig,
    journal: &'a Journal,
    monitor: &'a Monitor,
}

impl Run<'_> {
    async fn to_the_end(&self) -> anyhow::Result<()> {
        self.journal.append(Event::Preparing)?;
        fail_point::hit("drill.preparing");
        if let Some(prepare) = self.drill.script("prepare") {
            self.script(&prepare).await.context("prepare failed")?;
        }
        let target = target(self.config)?;
        let file = self.journal.traffic_file();
        let traffic = Traffic::start(&target, self.drill.file.traffic, self.seed, &file).await?;
        self.journal.append(Event::TrafficStarted)?;
        fail_point::hit("drill.traffic_started");
        sleep(self.drill.warm_up()).await;
        self.wait_until_well().await?;
        let before = Snapshot::take(self.config).await?;
        self.journal.append(Event::Injecting)?;
        fail_point::hit("drill.injecting");
        let inject = self.drill.script("inject").context("a drill has an inject script")?;
        self.script(&inject).await.context("inject failed")?;
        fail_point::hit("drill.injected");
        self.journal.append(Event::Injected)?;
        let damage = match self.respond_to_commands(&before, &traffic).await? {
            Some(restarted) => Some(before.damage(self.config, restarted).await?),
            None => None,
        };
        fail_point::hit("drill.recovered");
        revert(self.drill, self.draws, self.config, self.journal).await?;
        fail_point::hit("drill.reverted");
        let (log, observed) = traffic.stop(ANSWERED_WITHIN).await?;
        let report = reconcile(&log, &observed);
        let faults = report.faults.iter().map(|fault| format!("{}: {}", fault.kind, fault.what)).collect();
        self.journal.append(Event::Reconciled { faults, report: report.to_string() })?;
        let Some(damage) = damage else {
            return self.journal.append(Event::Aborted { reason: "aborted by command".to_owned() });
        };
        self.journal.append(Event::Measured { damage: damage.clone() })?;
        let grade = Grade::of(self.drill, &Course::read(self.journal)?, &damage);
        self.remember(&grade)?;
        self.journal.append(Event::Graded { grade })
    }

    async fn script(&self, path: &Path) -> anyhow::Result<()> {
        script::run(path, self.draws, self.config, self.journal).await
    }

    /// A system that is not well before the fault would distort detection and grade.
    async fn wait_until_well(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + WELL_WITHIN;
        loop {
            let complaint = self.monitor.complaint().await?;
            let Some(complaint) = complaint else { return Ok(()) };
            anyhow::ensure!(Instant::now() < deadline, "{NOT_WELL}: {complaint}");
            sleep(POLL).await;
        }
    }

    /// Handles commands until a claim passes or the drill is aborted (`None`). Returns the parts that were restarted before that claim.
    async fn respond_to_commands(
        &self,
        before: &Snapshot,
        traffic: &Traffic,
    ) -> anyhow::Result<Option<Vec<String>>> {
        let deadline = Instant::now() + MAX_DURATION;
        loop {
            anyhow::ensure!(
                !traffic.has_ended(),
                "the clients ended: this machine is too slow for the traffic"
            );
            anyhow::ensure!(
                Instant::now() < deadline,
                "not fixed within {} min",
                MAX_DURATION.as_secs() / 60
            );
            let course = Course::read(self.journal)?;
            if course.has(|event| matches!(event, Event::AbortRequested)) {
                return Ok(None);
            }
            self.record_alerts(&course)?;
            if let Some(claim) = course.open_claim() {
                let system = System {
                    drill: self.drill,
                    draws: self.draws,
                    config: self.config,
                    journal: self.journal,
                    monitor: self.monitor,
                    steady_within: claim.within_s.unwrap_or(self.drill.file.recovery.steady_within_s),
                };
                // Before the verification, which restarts services itself.
                let restarted = before.restarted(self.config).await?;
                match system.verify(before).await? {
                    Ok(()) => {
                        self.journal.append(Event::Recovered)?;
                        return Ok(Some(restarted));
                    }
                    Err(failure) => {
                        self.journal.append(Event::Rejected {
                            check: failure.check.to_owned(),
                            reason: failure.reason,
                        })?;
                    }
                }
            }
            sleep(POLL).await;
        }
    }

    /// Copies each new alert since the injection, and each acknowledgement, from the pager to the journal.
    fn record_alerts(&self, course: &Course) -> anyhow::Result<()> {
        let Some(injected_at) = course.injected_at() else { return Ok(()) };
        for alert in self.monitor.alerts_since(injected_at)? {
            let is_known = course.has(|event| matches!(event, Event::Alerted { alert: known, severity, .. } if *known == alert.name && *severity == alert.severity));
            if !is_known {
                self.journal.append(Event::Alerted { alert: alert.name, severity: alert.severity })?;
            }
        }
        for alert in self.monitor.acknowledged_since(injected_at)? {
            let is_known =
                course.has(|event| matches!(event, Event::Acknowledged { alert: known } if *known == alert));
            if !is_known {
                self.journal.append(Event::Acknowledged { alert })?;
            }
        }
        Ok(())
    }

    fn remember(&self, grade: &Grade) -> anyhow::Result<()> {
        let past = Past {
            at: Utc::now(),
            drill: self.drill.name.clone(),
            level: self.drill.file.level,
            seed: self.seed,
            surprise: self.surprise,
            grade: grade.clone(),
        };
        json_lines::append(&history_file(self.config), &past)
    }
}
