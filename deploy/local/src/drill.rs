//! `muster drill`: practise on-call. A drill starts a real fault under load; the responder is paged, finds and fixes it, and is graded by
//! what the system does afterwards.

mod check;
#[cfg(test)]
mod coverage;
mod definition;
mod game_master;
mod grade;
mod jobs;
mod journal;
mod monitor;
mod runner;
mod script;
mod shell;
mod show;
mod verify;
mod writeup;

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use tokio::time::sleep;

use self::{
    definition::{AnswerLists, Drill},
    journal::{Answer, Claim, Course, Event, Journal},
};
use crate::{
    checkout::Checkout,
    cluster::{Cluster, workloads},
    config::{Requested, StackConfig},
    console::print,
    place::Place,
    traffic,
};

/// How often a command reads the journal while it waits.
const POLL: Duration = Duration::from_millis(300);

/// Limit for the time from `start` to the first requests; some drills fill tables before.
const TRAFFIC_WITHIN: Duration = Duration::from_mins(10);

/// Commands of `muster drill`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the drills.
    List,
    /// Start a drill on the stack of `muster up`, which is started if needed.
    Start {
        /// The drill; `--surprise` draws one.
        #[arg(required_unless_present = "surprise")]
        name: Option<String>,
        /// Draw a drill, without naming it. It may be one in which nothing is wrong.
        #[arg(long, conflicts_with = "name")]
        surprise: bool,
        /// Draw only from this level: 1 to 3.
        #[arg(long, requires = "surprise", value_parser = clap::value_parser!(u8).range(1..=3))]
        level: Option<u8>,
        /// Selects what the drill varies; random if left out.
        #[arg(long)]
        seed: Option<u64>,
        #[command(flatten)]
        stack: Requested,
    },
    /// Show story, time, alerts and claims of the current drill.
    Status,
    /// Show the next hint; it costs points.
    Hint,
    /// State component, kind and cause of the incident. Without arguments, shows the lists of answers.
    Answer {
        #[arg(long, requires_all = ["kind", "cause"])]
        component: Option<String>,
        #[arg(long)]
        kind: Option<String>,
        #[arg(long)]
        cause: Option<String>,
        /// The rate per second that the story asks for.
        #[arg(long, requires = "component")]
        rate: Option<f64>,
        /// The choice that the story asks for.
        #[arg(long, requires = "component")]
        choice: Option<String>,
    },
    /// Add a line to the timeline of the write-up.
    Note {
        /// The text.
        text: String,
    },
    /// Claim that the incident is over. The system is verified, and the drill is graded.
    Fixed {
        /// Limit in seconds until the objectives are met.
        #[arg(long, hide = true)]
        within: Option<u64>,
    },
    /// Open a shell whose commands become part of the write-up.
    Shell,
    /// Lead a drill of a team from a second terminal: fault, answers, stopwatch, messages. Shows what responders must not see.
    GameMaster,
    /// Write the postmortem of the last drill, filled in as far as it was recorded.
    Writeup,
    /// Show grade and explanation of the last drill.
    Debrief,
    /// End the current drill without a grade, and undo its fault.
    Abort,
    /// Undo what a killed drill left.
    Repair,
    /// Show all grades.
    History {
        /// As JSON, one line per drill.
        #[arg(long)]
        json: bool,
    },
    /// Prove drills: no fix and wrong fixes fail, the reference fix passes, the alert fires in time, an abort leaves nothing.
    Check(check::Args),
}

impl Command {
    /// The stack that the command starts, if it needs one.
    pub(crate) fn needs_stack(&self) -> Option<Requested> {
        match self {
            Self::Start { stack, .. } => Some(*stack),
            Self::Check(args) => args.needs_stack(),
            _ => None,
        }
    }
}

/// Fails, before anything starts, if a drill that the command names does not run there.
pub(crate) fn require(command: &Command, place: Place, checkout: &Checkout) -> anyhow::Result<()> {
    let names = match command {
        Command::Start { name, .. } => name.as_slice(),
        Command::Check(args) => &args.names,
        _ => &[],
    };
    names.iter().try_for_each(|name| Drill::read(checkout, name)?.require(place))
}

/// Lists the drills of a checkout.
pub(crate) fn list(checkout: &Checkout) -> anyhow::Result<()> {
    show::list(&Drill::all(checkout)?);
    Ok(())
}

/// The current drill.
struct Current {
    journal: Journal,
    course: Course,
    drill: Drill,
    seed: u64,
}

impl Current {
    /// Reads the last drill, which may be over.
    fn last(config: &StackConfig) -> anyhow::Result<Self> {
        let journal = Journal::of(&config.state_dir);
        let course = Course::read(&journal)?;
        let (name, seed, _) =
            course.start().context("no drill was started: `muster drill start` starts one")?;
        let drill = Drill::read(&config.checkout, name)?;
        Ok(Self { journal, course, drill, seed })
    }

    /// The drill that runs now.
    fn running(config: &StackConfig) -> anyhow::Result<Self> {
        let current = Self::last(config)?;
        ensure!(!current.course.is_over(), "no drill runs: `muster drill start` starts one");
        let runner = current.course.runner();
        ensure!(
            runner.is_none_or(crate::process::Identity::is_alive),
            "the runner of this drill has died: `muster drill repair` undoes what it left"
        );
        Ok(current)
    }
}

/// Runs a command that needs the configuration of the stack of `muster up`.
pub(crate) async fn run(command: Command, config: &StackConfig) -> anyhow::Result<()> {
    match command {
        Command::List => list(&config.checkout)?,
        Command::Start { name, level, seed, .. } => start(config, name, level, seed).await?,
        Command::Status => show::status(&Current::last(config)?),
        Command::Hint => hint(&Current::running(config)?)?,
        Command::Answer { component, kind, cause, rate, choice } => {
            let given = component.zip(kind).zip(cause);
            let given =
                given.map(|((component, kind), cause)| Answer { component, kind, cause, rate, choice });
            answer(config, given)?;
        }
        Command::Note { text } => Current::running(config)?.journal.append(Event::Noted { text })?,
        Command::Fixed { within } => fixed(config, within).await?,
        Command::Shell => shell::run(config, &Current::running(config)?.journal)?,
        Command::GameMaster => game_master::run(config).await?,
        Command::Writeup => {
            let path = writeup::write(config, &Current::last(config)?).await?;
            print(format_args!("{}", path.display()));
        }
        Command::Debrief => show::debrief(&Current::last(config)?)?,
        Command::Abort => abort(config).await?,
        Command::Repair => repair(config).await?,
        Command::History { json } => show::history(config, json),
        Command::Check(args) => check::run(config, &args).await?,
    }
    Ok(())
}

pub(crate) use check::run_jobs;
pub(crate) use runner::run as run_to_the_end;

async fn start(
    config: &StackConfig,
    name: Option<String>,
    level: Option<u8>,
    seed: Option<u64>,
) -> anyhow::Result<()> {
    let journal = Journal::of(&config.state_dir);
    require_none_runs(&journal)?;
    let drill = match &name {
        Some(name) => Drill::read(&config.checkout, name)?,
        None => draw(config, level)?,
    };
    if config.place == Place::Cluster {
        workloads::require_available(&Cluster::of(config)).await?;
    }
    let seed = seed.unwrap_or_else(rand::random);
    journal.begin()?;
    journal.append(Event::Started { drill: drill.name.clone(), seed, surprise: name.is_none() })?;
    let fail_points = std::env::var(fail_point::VARIABLE).unwrap_or_default();
    let runner = config.command("drill-runner")?.env(fail_point::VARIABLE, fail_points);
    // The handle may go: the process outlives this one.
    let _runner = runner.start(&config.log("shift"))?;
    wait_for(&journal, TRAFFIC_WITHIN, |course| {
        course.is_over() || course.has(|event| matches!(event, Event::TrafficStarted))
    })
    .await
    .context("the clients did not start; `muster logs shift` says why")?;
    let course = Course::read(&journal)?;
    if let Some(reason) = aborted(&course) {
        bail!("the drill was aborted: {reason}");
    }
    print("The shift has begun. You are on call: `muster pager --follow` rings.\n");
    print(drill.file.story.trim());
    if config.place == Place::Cluster {
        print(format_args!("\nIn each terminal: eval \"$(muster env --target {})\"", config.place));
    }
    Ok(())
}

fn require_none_runs(journal: &Journal) -> anyhow::Result<()> {
    ensure!(
        Course::read(journal)?.is_over(),
        "a drill runs: end it with `muster drill abort`, or `muster drill repair` if its runner has died"
    );
    Ok(())
}

/// A random drill, of one level if given, that runs on this stack.
fn draw(config: &StackConfig, level: Option<u8>) -> anyhow::Result<Drill> {
    let mut drills = Drill::all(&config.checkout)?;
    drills.retain(|drill| {
        !drill.file.draft
            && drill.require(config.place).is_ok()
            && level.is_none_or(|level| level == drill.file.level)
    });
    ensure!(!drills.is_empty(), "no drill of this level");
    Ok(drills.swap_remove(rand::random_range(0..drills.len())))
}

fn hint(current: &Current) -> anyhow::Result<()> {
    let n_taken =
        current.course.entries.iter().filter(|entry| matches!(entry.event, Event::Hinted { .. })).count();
    let hint = current.drill.file.hint.get(n_taken).context("there are no more hints")?;
    current.journal.append(Event::Hinted { number: n_taken + 1, price: hint.price })?;
    print(format_args!("{} (costs {} points)", hint.text, hint.price));
    Ok(())
}

/// Records an answer. It does not say whether the answer is right.
fn answer(config: &StackConfig, given: Option<Answer>) -> anyhow::Result<()> {
    let lists = AnswerLists::read(&config.checkout)?;
    let Some(answer) = given else {
        show::answers(&lists);
        return Ok(());
    };
    let Answer { component, kind, cause, choice, .. } = &answer;
    let lists = [
        ("component", component, &lists.component),
        ("kind", kind, &lists.kind),
        ("cause", cause, &lists.cause),
    ];
    for (list, given, known) in lists {
        ensure!(known.contains_key(given), "{given} is no {list}; `muster drill answer` lists the answers");
    }
    let current = Current::running(config)?;
    if let Some(choice) = choice {
        let choices = &current.drill.file.choices;
        ensure!(choices.contains(choice), "{choice} is no choice of this drill: {}", choices.join(", "));
    }
    current.journal.append(Event::Answered(answer))?;
    print("Recorded.");
    Ok(())
}

async fn fixed(config: &StackConfig, within_s: Option<u64>) -> anyhow::Result<()> {
    let current = Current::running(config)?;
    ensure!(current.course.open_claim().is_none(), "a claim is being verified: wait for its result");
    current.journal.append(Event::Claimed(Claim { within_s }))?;
    print(
        "Verifying: objectives, trigger, schema, restarts. This takes minutes; `muster pager` keeps working.",
    );
    wait_for(&current.journal, traffic::MAX_DURATION, |course| {
        course.open_claim().is_none() || course.is_over()
    })
    .await?;
    let course = Course::read(&current.journal)?;
    if let Some(Event::Rejected { check, reason }) = course.last_verdict() {
        bail!("not fixed ({check}): {reason}");
    }
    print("The system has recovered. Reconciling orders, mails and links.");
    wait_for(&current.journal, traffic::MAX_DURATION, Course::is_over).await?;
    let current = Current::last(config)?;
    show::debrief(&current)?;
    let path = writeup::write(config, &current).await?;
    print(format_args!("\nThe write-up, with blanks for your judgement: {}", path.display()));
    Ok(())
}

async fn abort(config: &StackConfig) -> anyhow::Result<()> {
    let current = Current::last(config)?;
    ensure!(!current.course.is_over(), "no drill runs");
    if current.course.runner().is_none_or(|runner| !runner.is_alive()) {
        return repair(config).await;
    }
    current.journal.append(Event::AbortRequested)?;
    wait_for(&current.journal, Duration::from_mins(10), Course::is_over).await?;
    print("The drill is aborted, and its fault undone.");
    Ok(())
}

/// Undoes the fault of a drill whose runner was killed, and starts the parts that do not run.
async fn repair(config: &StackConfig) -> anyhow::Result<()> {
    let current = Current::last(config)?;
    if let Some(runner) = current.course.runner().filter(|runner| runner.is_alive()) {
        bail!("the runner (pid {}) is alive: `muster drill abort` ends the drill", runner.pid);
    }
    let draws = current.drill.draw(current.seed);
    let revert = runner::revert(&current.drill, &draws, config, &current.journal);
    let up = config.command("up")?;
    match config.place {
        Place::Local => {
            revert.await?;
            up.run().await.context("the stack is not up")?;
        }
        // The scripts reach the cluster through the desk.
        Place::Cluster => {
            up.run().await.context("the desk is not up")?;
            revert.await?;
            workloads::require_available(&Cluster::of(config)).await?;
        }
    }
    if !current.course.is_over() {
        current.journal.append(Event::Aborted { reason: "repaired after its runner had died".to_owned() })?;
    }
    print("Nothing of the drill is left.");
    Ok(())
}

/// Waits until the journal meets a condition; fails when the runner dies before.
async fn wait_for(
    journal: &Journal,
    within: Duration,
    is_met: impl Fn(&Course) -> bool,
) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        let course = Course::read(journal)?;
        if is_met(&course) {
            return Ok(());
        }
        ensure!(tokio::time::Instant::now() < deadline, "nothing happened within {} s", within.as_secs());
        if let Some(runner) = course.runner()
            && !runner.is_alive()
            && !is_met(&Course::read(journal)?)
        {
            bail!("the runner has died: `muster drill repair` undoes what it left");
        }
        sleep(POLL).await;
    }
}

fn aborted(course: &Course) -> Option<&str> {
    course.entries.iter().find_map(|entry| match &entry.event {
        Event::Aborted { reason } => Some(reason.as_str()),
        _ => None,
    })
}
