//! The commands, one module each; this one only tells them apart.

mod bench;
mod cluster_check;
mod cluster_secrets;
mod dead_letters;
mod demo;
mod down;
mod env;
mod kill;
mod leftovers;
mod logs;
mod mailbox_keeper;
mod orders;
mod otlp_receiver;
mod pager;
mod pager_receiver;
mod restart;
mod run;
mod status;
mod target;
mod token;
mod topics;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::checkout::Checkout;
use crate::console::print_error;
use crate::ports::Ports;
use crate::stack::Stack;
use crate::stack::StackConfig;
use crate::state::{Record, State};

/// Muster's local stack: every part as an ordinary process on the loopback interface.
#[derive(Debug, Parser)]
#[command(name = "muster", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start what does not run yet, and wait until all of it is ready.
    Up(up::Args),
    /// Stop what this checkout started.
    Down,
    /// Show each part: state, pid, address, time to ready, memory.
    Status,
    /// Show the end of the logs of one part, or of all.
    Logs(logs::Args),
    /// Kill one part the way a crash does; `muster restart` starts it again.
    Kill(kill::Args),
    /// End one part, even a frozen one, start it again and wait until it is ready; touches no other part.
    Restart(restart::Args),
    /// Start the parts that tests need beside a running stack, run a command, stop them.
    Run(run::Args),
    /// Print a bearer token for local use.
    Token(token::Args),
    /// Print the addresses and keys of the stack for `loadtest run --target`.
    Target,
    /// Show one order end to end, or place many and reconcile.
    Demo(demo::Args),
    /// Show the pages and tickets that alerts became.
    Pager(pager::Args),
    /// Print where the parts are, as variables for a shell: `eval "$(muster env)"`.
    Env,
    /// Show the dead letters, or replay or discard them.
    DeadLetters(dead_letters::Args),
    /// See to orders that wait.
    Orders(orders::Args),
    /// Take alerts from Alertmanager and keep them for `muster pager`; `muster up` runs this.
    #[command(hide = true)]
    PagerReceiver(pager_receiver::Args),
    /// Start a stack of its own, measure, and print each figure beside its baseline.
    Bench(bench::Args),
    /// Deploy to the cluster of KUBECONFIG, and see whether it withstands what clusters do.
    ClusterCheck(cluster_check::Args),
    /// Print the Secrets that a cluster of one's own needs, as a manifest.
    ClusterSecrets(cluster_secrets::Args),
    /// Make the topics of the product in a Kafka that has none; a cluster runs this as a job.
    #[command(hide = true)]
    Topics(topics::Args),
    /// Purge the mail server before its memory is full; `muster up` runs this.
    #[command(hide = true)]
    MailboxKeeper(mailbox_keeper::Args),
    /// Receive spans as OTLP and hand them to Zipkin; `muster up` runs this.
    #[command(hide = true)]
    OtlpReceiver(otlp_receiver::Args),
}

impl Cli {
    /// Runs the command; a failure is told on standard error.
    pub async fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Up(args) => up::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Down => down::run().await.map(|()| ExitCode::SUCCESS),
            Command::Status => status::run().await,
            Command::Logs(args) => logs::run(args).map(|()| ExitCode::SUCCESS),
            Command::Kill(args) => kill::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Restart(args) => restart::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Run(args) => run::run(args).await,
            Command::Token(args) => token::run(args).map(|()| ExitCode::SUCCESS),
            Command::Target => target::run().map(|()| ExitCode::SUCCESS),
            Command::Demo(args) => demo::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Pager(args) => pager::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Env => env::run().map(|()| ExitCode::SUCCESS),
            Command::DeadLetters(args) => dead_letters::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Orders(args) => orders::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::PagerReceiver(args) => pager_receiver::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Bench(args) => bench::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::ClusterCheck(args) => cluster_check::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::ClusterSecrets(args) => cluster_secrets::run(args).map(|()| ExitCode::SUCCESS),
            Command::Topics(args) => topics::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::MailboxKeeper(args) => mailbox_keeper::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::OtlpReceiver(args) => otlp_receiver::run(args).await.map(|()| ExitCode::SUCCESS),
        };
        outcome.unwrap_or_else(|error| {
            print_error(format_args!("{error:#}"));
            ExitCode::FAILURE
        })
    }
}

/// The stack of `muster up` and the right to change it; nothing where it never was started.
fn open_local() -> anyhow::Result<Option<(Stack, State)>> {
    let Some((stack, _)) = read_local()? else { return Ok(None) };
    let state = State::open(&stack.config.state_dir)?;
    Ok(Some((stack, state)))
}

/// The stack of `muster up` and what is remembered of it.
fn read_local() -> anyhow::Result<Option<(Stack, Record)>> {
    let checkout = Checkout::find()?;
    let home = checkout.state_dir();
    let record = Record::read(&home)?;
    let Some(base) = record.port_base else { return Ok(None) };
    let stack = Stack::local(
        StackConfig::prepare(checkout, home, Ports::from_base(base)?)?,
        record.profile.unwrap_or_default(),
    );
    Ok(Some((stack, record)))
}
