//! One run from the first link to the verdict.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use askama::Template as _;
use serde::Serialize;

use crate::connections::Connections;
use crate::engine::{self, Progress};
use crate::observe::Observer;
use crate::real::ms;
use crate::reconcile::{Told, reconcile};
use crate::recording::{Recording, Second};
use crate::report::{Page, Report};
use crate::scenario::Scenario;
use crate::schedule::{Schedule, total_duration};
use crate::shop::{Shop, prepare};
use crate::target::{Target, authority};

/// What to run, against what, and where to put the result.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The scenario: a TOML file; `loadtest/scenarios/` has some.
    scenario: PathBuf,
    /// The system: a TOML file; `muster target` prints the one of the local stack.
    #[arg(long, env = "LOADTEST_TARGET")]
    target: PathBuf,
    /// Requests per second in the mean of the counted phases; the scenario's own if left out.
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,
    /// Length of the counted phases together, as seconds with or without `s`; the scenario's own if left out.
    #[arg(long, value_parser = parse_seconds)]
    duration: Option<Duration>,
    /// Empty every mailbox of the target first, so that mails of earlier runs do not slow its mail server down.
    #[arg(long)]
    purge_mailbox: bool,
    /// Where to write the report as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to write the report as a page.
    #[arg(long)]
    html: Option<PathBuf>,
}

impl Args {
    /// Reads what the run needs; everything that can be wrong with it is found here.
    fn load(&self) -> anyhow::Result<(Scenario, Target)> {
        let mut scenario = Scenario::read(&self.scenario)?;
        if let Some(duration) = self.duration {
            scenario.set_duration(duration);
        }
        if let Some(rate) = self.rate {
            scenario.set_rate(rate)?;
        }
        for path in self.json.iter().chain(&self.html) {
            check_directory(path)?;
        }
        Ok((scenario, Target::read(&self.target)?))
    }

    /// Writes the report where it was asked for.
    fn write(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.json {
            write_json(path, report)?;
        }
        if let Some(path) = &self.html {
            let page = Page::new(report).render().context("the report as a page")?;
            std::fs::write(path, page).with_context(|| format!("{}", path.display()))?;
        }
        Ok(())
    }
}

/// Finds out before anything runs that a result could not be written.
pub(crate) fn check_directory(file: &Path) -> anyhow::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    ensure!(directory.is_none_or(Path::is_dir), "{}: there is no such directory", file.display());
    Ok(())
}

/// Writes a result for programs.
pub(crate) fn write_json(path: &Path, result: &impl Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(result).context("the result as JSON")?;
    std::fs::write(path, json + "\n").with_context(|| format!("{}", path.display()))
}

/// Runs it, from the first link to the verdict.
pub async fn run(args: &Args) -> anyhow::Result<Report> {
    let (scenario, target) = args.load()?;
    if args.purge_mailbox {
        target.purge_mailbox().await?;
    }
    let report = drive(&scenario, &target).await?.conclude(&scenario).await?;
    args.write(&report)?;
    Ok(report)
}

/// What a run leaves to be reconciled.
#[derive(Debug)]
pub struct Driven {
    /// What was measured.
    pub recording: Recording,
    /// What clients were told.
    pub told: Told,
    began_at: chrono::DateTime<chrono::Utc>,
    cpu_seconds: f64,
    observer: Observer,
}

/// Sends everything that a scenario asks for.
pub async fn drive(scenario: &Scenario, target: &Target) -> anyhow::Result<Driven> {
    let token = target.token(total_duration(&scenario.phases))?;
    let customer = format!("load-{}@example.com", uuid::Uuid::new_v4().simple());
    let observer = Observer::begin(target, &token, &customer, scenario.settling).await?;
    let server = |url| Connections::new(authority(url)?, scenario.limits);
    // In the order that `shop` counts on.
    let servers = vec![server(&target.orders_url)?, server(&target.links_url)?];
    let mut shop = Shop::new(scenario, target, &token, &customer)?;
    prepare(&mut shop, scenario.prepare, &servers).await.context("the run could not be prepared")?;

    let began_at = chrono::Utc::now();
    let cpu_before = cpu_seconds();
    let schedule = Schedule::new(scenario.phases.clone(), scenario.seed);
    let n_operations = scenario.operations.len();
    let mut live = Live::new(total_duration(&scenario.phases));
    let (recording, shop) =
        engine::run(schedule, servers, shop, n_operations, |progress| live.show(&progress)).await?;
    live.end("looking for everything that clients were told of");
    let cpu_seconds = cpu_seconds() - cpu_before;
    Ok(Driven { recording, told: shop.into_told(), began_at, cpu_seconds, observer })
}

impl Driven {
    /// Looks for everything that clients were told, and judges.
    pub async fn conclude(self, scenario: &Scenario) -> anyhow::Result<Report> {
        let Self { recording, told, began_at, cpu_seconds, observer } = self;
        let held = observer.look(&told).await.context("what clients were told cannot be looked for")?;
        Ok(Report::new(scenario, began_at, &recording, cpu_seconds, reconcile(&told, &held)))
    }
}

/// The processor time that this process has used.
fn cpu_seconds() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(spent).unwrap_or_default().as_secs_f64()
}

/// The line on standard error that says how the run goes.
struct Live {
    total: Duration,
    is_terminal: bool,
}

impl Live {
    fn new(total: Duration) -> Self {
        Self { total, is_terminal: std::io::stderr().is_terminal() }
    }

    /// Shows the last whole second of all operations together.
    fn show(&mut self, progress: &Progress<'_>) {
        let seconds = progress.recording.timelines.iter().filter_map(|timeline| timeline.recent(1));
        let last = seconds.fold(Second::default(), |all, second| Second {
            n_expected: all.n_expected + second.n_expected,
            n_errors: all.n_errors + second.n_errors,
            n_dropped: all.n_dropped + second.n_dropped,
            p50_us: all.p50_us.max(second.p50_us),
            p99_us: all.p99_us.max(second.p99_us),
            max_us: all.max_us.max(second.max_us),
        });
        let late = crate::verdict::quantile_ms(&progress.recording.lateness, 0.99);
        self.write(&format!(
            "{:>4.0}/{:.0} s  {:>6}/s  p50 {:>7.2} ms  p99 {:>7.2} ms  errors {}  dropped {}  in flight {}  own lateness p99 {late:.2} ms",
            progress.elapsed.as_secs_f64(),
            self.total.as_secs_f64(),
            last.n_expected,
            ms(last.p50_us),
            ms(last.p99_us),
            last.n_errors,
            last.n_dropped,
            progress.n_in_flight,
        ));
    }

    fn end(&mut self, line: &str) {
        self.write(line);
        if self.is_terminal {
            writeln!(std::io::stderr()).unwrap_or_default();
        }
    }

    /// On a terminal, each line takes the place of the last.
    fn write(&self, line: &str) {
        let (begin, end) = if self.is_terminal { ("\r\x1b[2K", "") } else { ("", "\n") };
        write!(std::io::stderr().lock(), "{begin}{line}{end}").unwrap_or_default();
    }
}

pub(crate) fn parse_rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse().context("expected a number")?;
    ensure!((0.1..=100_000.0).contains(&rate), "expected a rate from 0.1 to 100000");
    Ok(rate)
}

pub(crate) fn parse_seconds(text: &str) -> anyhow::Result<Duration> {
    let seconds: f64 = text.trim_end_matches('s').parse().context("expected seconds, such as 60 or 60s")?;
    ensure!((1.0..=82_000.0).contains(&seconds), "expected 1 to 82000 seconds");
    Ok(Duration::from_secs_f64(seconds))
}
