//! `muster torture`: steady orders on a separate stack whose processes and connections are killed and disturbed at random, then a
//! reconciliation of what clients were answered with what the system holds.
//!
//! The seed decides the faults and their times. What the processes do between them is not deterministic.

mod audit;
mod connections;
mod faults;
mod html;
mod links;
mod operator;
mod plan;
mod report;
mod volume;

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
pub(crate) use connections::{Proxies, stack};
use loadtest::reconcile::{Fault, FaultKind, reconcile};
use tokio::time::{sleep, timeout};
pub(crate) use volume::unmount;

use self::{
    audit::Auditor,
    faults::{Played, Victims},
    links::LinkClient,
    operator::{Decisions, Operator},
    plan::plan,
    report::{Report, Violation},
    volume::Volume,
};
use crate::{
    config::StackConfig,
    console::print,
    stack::Stack,
    state::State,
    target::target,
    traffic::{MAX_DURATION, Rates, Traffic},
};

/// Requests per second: as many as two cores can take in a debug build while parts start.
const RATES: Rates = Rates { redirects: 5.0, reads: 3.0, orders: 6.0 };

/// Traffic without faults at the beginning and at the end; the end is longer than the bound of redirects.
const QUIET: Duration = Duration::from_secs(4);

/// Limit for the answers that are open after the last fault, and then for the mails and events.
const DRY_WITHIN: Duration = Duration::from_mins(10);

/// Pieces of the scarce product for each kill: they are gone after about half of the run.
const SCARCE_PIECES: i64 = 8;

/// Arguments of `muster torture`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often a service, the registry or the broker is killed; there are half as many other faults.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    kills: u16,
    /// Decides the faults and their times: any text, such as a commit; random if left out.
    #[arg(long)]
    seed: Option<String>,
    /// Write torture.json and torture.html into this directory.
    #[arg(long, value_name = "DIRECTORY")]
    report: Option<PathBuf>,
}

impl Args {
    /// The seed, which a failed run is played again with.
    fn seed(&self) -> String {
        self.seed.clone().unwrap_or_else(|| rand::random::<u32>().to_string())
    }
}

/// Plays a run on a stack that is ready. Prints the seed first and the report at the end; returns whether every invariant held.
pub(crate) async fn run(
    stack: &Stack,
    state: &State,
    proxies: &Proxies,
    args: &Args,
) -> anyhow::Result<bool> {
    let (seed, n_kills) = (args.seed(), usize::from(args.kills));
    print(format_args!(
        "The seed is {seed}: `make torture KILLS={n_kills} SEED={seed}` plays the same faults."
    ));
    let config = &stack.config;
    let auditor = Auditor::connect(config).await?;
    let target = target(config)?;
    let scarce = target.skus.last().context("no product")?;
    let stock = auditor.make_scarce(scarce, SCARCE_PIECES * i64::from(args.kills)).await?;
    let volume = volume(config, &auditor).await?;

    let traffic_file = config.state_dir.join("traffic.csv");
    let traffic = Traffic::start(&target, RATES, plan_seed(&seed), &traffic_file).await?;
    let links = LinkClient::new(&target, target.api(MAX_DURATION)?)?;
    let began = std::time::Instant::now() + QUIET;
    let victims = Victims { stack, state, proxies, volume: volume.as_ref() };
    let play = async {
        sleep(QUIET).await;
        let played = victims.play(&plan(&seed, n_kills, volume.is_some())).await;
        sleep(QUIET).await;
        links.stop();
        played
    };
    let (played, outcome) = tokio::join!(play, links.run());
    outcome.context("the client of the links")?;
    let took_s = began.elapsed().as_secs();
    print("The faults are over. Waiting until nothing is open.");

    let operator = Operator::connect(config, traffic.arrivals()?).await?;
    let mut letters = Decisions::default();
    let (log, observed) = tokio::select! {
        stopped = timeout(3 * DRY_WITHIN, traffic.stop(DRY_WITHIN)) => stopped.context("what the system holds changes still")??,
        Err(error) = operator.keep_deciding(&mut letters) => return Err(error.context("the dead letters")),
    };
    let mut orders = reconcile(&log, &observed);
    let auditor = Auditor::connect(config).await?.with_stock(stock);
    let (link_counts, link_faults) = links.into_result();
    let mut found = std::mem::take(&mut orders.faults);
    found.extend(link_faults);
    found.extend(auditor.faults(&log, &observed.mails.unwrap_or_default()).await?);
    found.extend(operator.faults().await?);
    found.extend(unplayed(&played, &victims));
    let violations: Vec<_> =
        found.into_iter().map(|fault| Violation::new(fault, &log, began, &played)).collect();
    let report = Report {
        seed,
        n_kills,
        passed: violations.is_empty(),
        took_s,
        faults: played,
        orders,
        links: link_counts,
        letters,
        violations,
        logs: config.state_dir.join("logs").display().to_string(),
    };
    print(&report);
    if let Some(directory) = &args.report {
        report.write(directory, &traffic_file)?;
    }
    Ok(report.passed)
}

/// The volume of the fault that needs root.
async fn volume(config: &StackConfig, auditor: &Auditor) -> anyhow::Result<Option<Volume>> {
    if volume::is_possible() {
        return Ok(Some(Volume::create(&config.dir("postgres"), &auditor.orders).await?));
    }
    print(
        "No disk will be full: to mount a small volume needs root. The plan of a seed is another one than with root.",
    );
    Ok(None)
}

/// The seed of the clients' choices.
fn plan_seed(seed: &str) -> u64 {
    seed.bytes().fold(0, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// Faults that could not be played or undone, and parts that have ended by themselves.
fn unplayed(played: &[Played], victims: &Victims<'_>) -> Vec<Fault> {
    let fault = |what: String| Fault::new(FaultKind::Unfinished, what);
    let errors = played.iter().filter_map(|it| {
        let error = it.error.as_ref()?;
        Some(fault(format!("fault {}: {error}", it.planned.number)))
    });
    let ended = victims.require_alive().err().map(|error| fault(format!("{error:#}")));
    errors.chain(ended).collect()
}
