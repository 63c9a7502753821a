//! One run: prepare, generate load, reconcile, judge.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::{
    connections::Connections,
    engine::{self, Progress},
    mailbox::Mailbox,
    observe::Observer,
    reconcile::{ClientLog, reconcile},
    recording::{Recording, Second, ms, quantile_ms},
    report::Report,
    scenario::Scenario,
    schedule::{arrivals, total_duration},
    shop::{Shop, prepare},
    target::Target,
};

/// What `run` and `search` have in common.
#[derive(Debug, clap::Args)]
pub(crate) struct CommonArgs {
    /// The scenario: a TOML file, such as those in `loadtest/scenarios/`.
    scenario: PathBuf,
    /// The system under test: a TOML file. `muster target` prints the file of the local stack.
    #[arg(long, env = "LOADTEST_TARGET")]
    target: PathBuf,
    /// Purge all mailboxes of the target before each run, so that mails of earlier runs do not slow its mail server down.
    #[arg(long)]
    purge_mailbox: bool,
    /// Write the result to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Arguments of `loadtest run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Mean rate of the counted phases, in requests per second; default: that of the scenario.
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,
    /// Duration of the counted phases in seconds, such as 60 or 60s; default: that of the scenario.
    #[arg(long, value_parser = parse_seconds)]
    duration: Option<Duration>,
    /// Write the report to this file, as an HTML page.
    #[arg(long)]
    html: Option<PathBuf>,
}

impl CommonArgs {
    /// Reads the input files, and checks that the result can be written.
    pub(crate) fn load(&self) -> anyhow::Result<(Scenario, Target)> {
        if let Some(path) = &self.json {
            check_directory(path)?;
        }
        Ok((Scenario::read(&self.scenario)?, Target::read(&self.target)?))
    }

    /// Purges all mailboxes, if requested.
    pub(crate) async fn purge(&self, target: &Target) -> anyhow::Result<()> {
        if !self.purge_mailbox {
            return Ok(());
        }
        let api_url = target.mailbox.as_ref().and_then(|mailbox| mailbox.api_url.as_deref());
        Mailbox::new(api_url.context("the target names no api_url of a mailbox")?)?.purge().await
    }

    /// Writes the result as JSON, if a file is named.
    pub(crate) fn write(&self, result: &impl Serialize) -> anyhow::Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        let json = serde_json::to_string_pretty(result).context("the result as JSON")?;
        std::fs::write(path, json + "\n").with_context(|| format!("{}", path.display()))
    }
}

fn check_directory(file: &Path) -> anyhow::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    ensure!(directory.is_none_or(Path::is_dir), "{}: the directory does not exist", file.display());
    Ok(())
}

/// Runs a scenario, and writes the report.
pub async fn run(args: &Args) -> anyhow::Result<Report> {
    let (mut scenario, target) = args.common.load()?;
    if let Some(duration) = args.duration {
        scenario.set_duration(duration);
    }
    if let Some(rate) = args.rate {
        scenario.set_rate(rate)?;
    }
    if let Some(path) = &args.html {
        check_directory(path)?;
    }
    args.common.purge(&target).await?;
    let report = generate_load(&scenario, &target).await?.reconcile(&scenario).await?;
    args.common.write(&report)?;
    if let Some(path) = &args.html {
        std::fs::write(path, report.html()?).with_context(|| format!("{}", path.display()))?;
    }
    Ok(report)
}

/// A run whose requests were sent, before its reconciliation.
pub struct GeneratedLoad {
    /// The measurements.
    pub recording: Recording,
    /// What clients were answered.
    pub log: ClientLog,
    began_at: chrono::DateTime<chrono::Utc>,
    cpu_seconds: f64,
    observer: Observer,
}

/// Prepares a scenario and sends its requests.
pub async fn generate_load(scenario: &Scenario, target: &Target) -> anyhow::Result<GeneratedLoad> {
    let api = target.api(total_duration(&scenario.phases))?;
    let customer = format!("load-{}@example.com", uuid::Uuid::new_v4().simple());
    let observer = Observer::start(target, api.clone(), &customer, scenario.settling).await?;
    let server = |url| Connections::new(url, scenario.limits);
    // In the order of `shop::ORDERS` and `shop::LINKS`.
    let servers = vec![server(&target.orders_url)?, server(&target.links_url)?];
    let mut shop = Shop::new(scenario.operations.clone(), scenario.seed, target, api, &customer);
    prepare(&mut shop, scenario.prepare, &servers).await.context("the run could not be prepared")?;

    let began_at = chrono::Utc::now();
    let cpu_before = cpu_seconds();
    let schedule = arrivals(scenario.phases.clone(), scenario.seed);
    let n_operations = scenario.operations.len();
    let live = LiveLine::new(total_duration(&scenario.phases));
    let (recording, shop) =
        engine::run(schedule, servers, shop, n_operations, |progress| live.show(&progress)).await?;
    live.end("reconciling");
    let cpu_seconds = cpu_seconds() - cpu_before;
    Ok(GeneratedLoad { recording, log: shop.into_log(), began_at, cpu_seconds, observer })
}

impl GeneratedLoad {
    /// Observes the system, compares it with the client log, and judges the run.
    pub async fn reconcile(self, scenario: &Scenario) -> anyhow::Result<Report> {
        let Self { recording, log, began_at, cpu_seconds, observer } = self;
        let observed = observer.observe(&log).await.context("the system cannot be observed")?;
        Ok(Report::new(scenario, began_at, &recording, cpu_seconds, reconcile(&log, &observed)))
    }
}

/// Returns the processor time of this process.
fn cpu_seconds() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(spent).unwrap_or_default().as_secs_f64()
}

/// Writes a line about the progress to standard error.
pub(crate) fn log(line: std::fmt::Arguments<'_>) {
    writeln!(std::io::stderr().lock(), "{line}").unwrap_or_default();
}

/// The progress of a run on standard error.
struct LiveLine {
    total: Duration,
    is_terminal: bool,
}

impl LiveLine {
    fn new(total: Duration) -> Self {
        Self { total, is_terminal: std::io::stderr().is_terminal() }
    }

    /// Shows the last complete second of all operations.
    fn show(&self, progress: &Progress<'_>) {
        let seconds = progress.recording.timelines.iter().filter_map(|timeline| timeline.recent(1));
        let last = seconds.fold(Second::default(), |all, second| Second {
            n_expected: all.n_expected + second.n_expected,
            n_errors: all.n_errors + second.n_errors,
            n_dropped: all.n_dropped + second.n_dropped,
            p50_us: all.p50_us.max(second.p50_us),
            p99_us: all.p99_us.max(second.p99_us),
            max_us: all.max_us.max(second.max_us),
        });
        let (elapsed, total) = (progress.elapsed.as_secs_f64(), self.total.as_secs_f64());
        let Second { n_expected, n_errors, n_dropped, .. } = last;
        let (p50, p99, n_in_flight) = (ms(last.p50_us), ms(last.p99_us), progress.n_in_flight);
        let lag = quantile_ms(&progress.recording.scheduling_lag, 0.99);
        self.write(&format!(
            "{elapsed:>4.0}/{total:.0} s  {n_expected:>6}/s  p50 {p50:>7.2} ms  p99 {p99:>7.2} ms  errors {n_errors}  \
             dropped {n_dropped}  in flight {n_in_flight}  scheduling lag p99 {lag:.2} ms",
        ));
    }

    fn end(&self, line: &str) {
        self.write(line);
        if self.is_terminal {
            writeln!(std::io::stderr()).unwrap_or_default();
        }
    }

    /// Writes a line; on a terminal it replaces the last one.
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
