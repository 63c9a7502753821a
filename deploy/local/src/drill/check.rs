//! `muster drill check`: proves a drill by playing it.
//!
//! One incident: the alert fires in time; a claim without a fix fails; each wrong fix fails by the check that it names; the reference fix
//! passes, the alert ends, and the reconciler is clean. Then another seed, aborted: nothing is left.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use chrono::{TimeDelta, Utc};
use rand::{SeedableRng as _, rngs::SmallRng, seq::SliceRandom as _};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use super::{
    Current, abort,
    definition::{Drill, ExpectedAlert, expected_failure},
    jobs,
    journal::{Claim, Course, Event, Journal},
    monitor::Monitor,
    require_none_runs,
    runner::NOT_WELL,
    script, start, wait_for,
};
use crate::{
    checkout::Checkout,
    config::{Requested, StackConfig},
    console::{print, seconds},
    place::Place,
};

/// Limit for the objectives after a claim that must fail.
const FAILS_WITHIN_S: u64 = 45;

/// Limit of one verification.
const VERDICT_WITHIN: Duration = Duration::from_mins(15);

/// Limit for the end of the alert after the drill.
const CLEAR_WITHIN: Duration = Duration::from_mins(3);

const SEEDS: [u64; 3] = [1, 2, 3];

/// What `muster drill check` proves, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The drills; all if none is named.
    pub(super) names: Vec<String>,
    /// Draw this many of them.
    #[arg(long)]
    draw: Option<usize>,
    /// Selects what is drawn: any text, such as a commit.
    #[arg(long, requires = "draw", default_value = "")]
    seed: String,
    /// Play one seed only, without the aborted play of a second one.
    #[arg(long)]
    pub(super) one_seed: bool,
    /// Prove this many at a time, on stacks of their own; without it one by one, on the stack of `muster up`.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=8))]
    jobs: Option<u8>,
    #[command(flatten)]
    stack: Requested,
}

impl Args {
    pub(crate) fn needs_stack(&self) -> Option<Requested> {
        self.jobs.is_none().then_some(self.stack)
    }
}

/// Proves drills on stacks of their own.
pub(crate) async fn run_jobs(place: Place, checkout: &Checkout, args: &Args) -> anyhow::Result<()> {
    ensure!(place == Place::Local, "--jobs starts local stacks; on a cluster drills are proven one by one");
    jobs::run(checkout, select(place, checkout, args)?, args.jobs.unwrap_or(1), args.one_seed).await
}

/// The named drills, which [`super::require`] has checked, or all that run there and are no draft, or some of these.
fn select(place: Place, checkout: &Checkout, args: &Args) -> anyhow::Result<Vec<Drill>> {
    let mut drills = Drill::all(checkout)?;
    if args.names.is_empty() {
        drills.retain(|drill| !drill.file.draft && drill.require(place).is_ok());
    } else {
        drills = args.names.iter().map(|name| Drill::read(checkout, name)).collect::<Result<_, _>>()?;
    }
    if let Some(n_drawn) = args.draw {
        let mut rng = SmallRng::from_seed(Sha256::digest(&args.seed).into());
        drills.shuffle(&mut rng);
        drills.truncate(n_drawn);
    }
    Ok(drills)
}

/// Proves drills one by one on the running stack; fails after the last one if any failed.
pub(super) async fn run(config: &StackConfig, args: &Args) -> anyhow::Result<()> {
    let drills = select(config.place, &config.checkout, args)?;
    require_none_runs(&Journal::of(&config.state_dir))?;
    let mut failed = Vec::new();
    for drill in &drills {
        let begun = Instant::now();
        match prove(config, drill, args.one_seed).await {
            Ok(()) => print(format_args!("{}: proven in {}", drill.name, seconds(begun.elapsed()))),
            Err(error) => {
                print(format_args!("{}: FAILED: {error:#}", drill.name));
                failed.push(drill.name.as_str());
                clean_up(config).await?;
            }
        }
    }
    ensure!(failed.is_empty(), "{} of {} drills failed: {}", failed.len(), drills.len(), failed.join(", "));
    Ok(())
}

async fn prove(config: &StackConfig, drill: &Drill, one_seed: bool) -> anyhow::Result<()> {
    let targets: BTreeSet<_> = SEEDS.map(|seed| drill.draw(seed)).into_iter().collect();
    ensure!(drill.file.draw.is_empty() || targets.len() > 1, "three seeds select the same values");
    let [first, second, _] = SEEDS;
    play(config, drill, first).await?;
    if one_seed { Ok(()) } else { abort_leaves_nothing(config, drill, second).await }
}

async fn play(config: &StackConfig, drill: &Drill, seed: u64) -> anyhow::Result<()> {
    begin(config, drill, seed).await?;
    let journal = Journal::of(&config.state_dir);
    alerts_fire(config, drill, &journal).await?;
    let step = |what: &str| print(format_args!("{}: {what}", drill.name));
    if drill.file.fault {
        let check = rejected(&journal, Some(FAILS_WITHIN_S)).await.context("without a fix")?;
        step(&format!("no fix: rejected by {check}"));
        for wrong in drill.wrong_fixes()? {
            let name = wrong.file_name().unwrap_or_default().to_string_lossy().into_owned();
            fix(config, drill, seed, &wrong).await?;
            let expected = expected_failure(&wrong)?;
            // A wrong fix may look right at first, so the objectives get the time that a right one gets.
            let within = (expected == "steady").then_some(FAILS_WITHIN_S);
            let check = rejected(&journal, within).await.with_context(|| format!("after {name}"))?;
            ensure!(check == expected, "{name} failed by {check}, expected {expected}");
            step(&format!("{name}: rejected by {check}"));
        }
    }
    fix(config, drill, seed, &drill.script("fix.sh").context("fix.sh")?).await?;
    if let Some(Event::Rejected { check, reason }) = claim(&journal, None).await? {
        bail!("the reference fix failed by {check}: {reason}");
    }
    step("reference fix: passed");
    wait_for(&journal, VERDICT_WITHIN, Course::is_over).await?;
    let course = Course::read(&journal)?;
    ensure!(
        course.grade().is_some_and(|grade| grade.mitigated),
        "no grade: {}",
        super::aborted(&course).unwrap_or("not mitigated")
    );
    is_clean(config, &course).await
}

async fn abort_leaves_nothing(config: &StackConfig, drill: &Drill, seed: u64) -> anyhow::Result<()> {
    begin(config, drill, seed).await?;
    let journal = Journal::of(&config.state_dir);
    alerts_fire(config, drill, &journal).await?;
    abort(config).await?;
    is_clean(config, &Course::read(&journal)?).await.context("after abort")
}

/// Starts a drill until its fault exists. A machine that was busy for a moment says nothing about the drill, so that a system that was not well
/// before the fault gets a second start.
async fn begin(config: &StackConfig, drill: &Drill, seed: u64) -> anyhow::Result<()> {
    match begin_once(config, drill, seed).await {
        Err(error) if error.to_string().contains(NOT_WELL) => {
            print(format_args!("{}: {error:#}; again", drill.name));
            begin_once(config, drill, seed).await
        }
        outcome => outcome,
    }
}

async fn begin_once(config: &StackConfig, drill: &Drill, seed: u64) -> anyhow::Result<()> {
    start(config, Some(drill.name.clone()), None, Some(seed)).await?;
    let journal = Journal::of(&config.state_dir);
    wait_for(&journal, VERDICT_WITHIN, |course| course.is_over() || course.injected_at().is_some()).await?;
    let course = Course::read(&journal)?;
    match super::aborted(&course) {
        Some(reason) => bail!("aborted: {reason}"),
        None => Ok(()),
    }
}

/// The first alert has to reach the pager. A page inhibits tickets, so the others only have to fire in Prometheus.
async fn alerts_fire(config: &StackConfig, drill: &Drill, journal: &Journal) -> anyhow::Result<()> {
    let Some((first, others)) = drill.file.alert.split_first() else { return Ok(()) };
    let is_first = |event: &Event| matches!(event, Event::Alerted { alert, severity } if *alert == first.name && *severity == first.severity);
    wait_for(journal, first.within(), |course| course.is_over() || course.has(is_first))
        .await
        .with_context(|| format!("{first} did not fire"))?;
    let course = Course::read(journal)?;
    let (Some(injected_at), Some(fired_at)) = (course.injected_at(), course.first(is_first)) else {
        bail!("aborted before {first} fired")
    };
    let report = |alert: &ExpectedAlert, after: TimeDelta| {
        ensure!(
            after.num_milliseconds() <= 1000 * alert.within_s.cast_signed(),
            "{alert} fired after {} s",
            after.num_seconds()
        );
        print(format_args!("{}: {alert} after {} s", drill.name, after.num_seconds()));
        Ok(())
    };
    report(first, fired_at - injected_at)?;
    let monitor = Monitor::new(config)?;
    for alert in others {
        let deadline = injected_at + alert.within();
        let fired_at = loop {
            if let Some(at) = monitor.first_fired(&alert.name, &alert.severity, injected_at).await? {
                break at;
            }
            ensure!(Utc::now() < deadline, "{alert} did not fire");
            sleep(Duration::from_secs(1)).await;
        };
        report(alert, fired_at - injected_at)?;
    }
    Ok(())
}

/// Runs a fix as a responder would.
async fn fix(config: &StackConfig, drill: &Drill, seed: u64, path: &Path) -> anyhow::Result<()> {
    let journal = Journal::of(&config.state_dir);
    script::run(path, &drill.draw(seed), config, &journal)
        .await
        .with_context(|| format!("{}", path.display()))
}

/// Claims, and returns the check that rejected the claim.
async fn rejected(journal: &Journal, within_s: Option<u64>) -> anyhow::Result<String> {
    match claim(journal, within_s).await? {
        Some(Event::Rejected { check, .. }) => Ok(check),
        _ => bail!("the claim passed"),
    }
}

async fn claim(journal: &Journal, within_s: Option<u64>) -> anyhow::Result<Option<Event>> {
    journal.append(Event::Claimed(Claim { within_s }))?;
    wait_for(journal, VERDICT_WITHIN, |course| course.open_claim().is_none() || course.is_over()).await?;
    Ok(Course::read(journal)?.last_verdict().cloned())
}

/// Nothing was lost, every objective is met again, and no page is open.
async fn is_clean(config: &StackConfig, course: &Course) -> anyhow::Result<()> {
    for entry in &course.entries {
        if let Event::Reconciled { faults, .. } = &entry.event {
            ensure!(
                faults.is_empty(),
                "the reconciler found {} faults, the first: {}",
                faults.len(),
                faults[0]
            );
        }
    }
    ensure!(!course.needs_revert(), "the fault was not undone");
    let monitor = Monitor::new(config)?;
    let deadline = Instant::now() + CLEAR_WITHIN;
    loop {
        let firing = monitor.firing_pages().await?;
        if firing.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{} still fires", firing.join(", "));
        sleep(Duration::from_secs(1)).await;
    }
}

/// After a failure, so that the next drill can start.
async fn clean_up(config: &StackConfig) -> anyhow::Result<()> {
    let current = Current::last(config)?;
    if current.course.is_over() { Ok(()) } else { abort(config).await }
}
