//! The command line: every command with its options, and its dispatch.

mod bench;
mod certificates;
mod demo;
mod deploys;
mod local;
mod pager;
mod run;
mod status;
mod token;
mod torture;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail, ensure};
use clap::{Parser, Subcommand};

use crate::{
    checkout::Checkout,
    cluster::{NAMESPACE, check, link, relay, secrets},
    config::{Requested, StackConfig},
    console::{print, print_error},
    dead_letters, drill,
    endpoints::PostgresEndpoint,
    mailbox_keeper, orders, otlp, pager as alerts,
    parts::kafka::{TOPICS, create_topics},
    place::{Place, kept_secrets},
    ports::{Ports, url},
    readiness::until_ok,
    releases::SERVICES,
    rewind,
    signals::Interrupts,
    stack::Stack,
    state::{Record, State},
};

/// Muster's local stack: every part as an ordinary process on the loopback interface.
#[derive(Debug, Parser)]
#[command(name = "muster", version)]
pub struct Cli {
    /// The stack of this machine, or the on-call desk of the cluster of KUBECONFIG.
    #[arg(long, global = true, env = Place::VARIABLE, default_value_t)]
    target: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the parts that do not run, and wait until every part is ready.
    Up(Requested),
    /// Stop the processes that this checkout started.
    Down,
    /// Show each part: state, pid, address, time to ready, memory.
    Status,
    /// Show the end of the logs of one part, or of all parts.
    Logs {
        /// The part, as `muster status` names it; all parts if left out.
        part: Option<String>,
        /// Continue with new lines.
        #[arg(short, long)]
        follow: bool,
        /// The log of the part before its last start.
        #[arg(short, long, requires = "part", conflicts_with = "follow")]
        previous: bool,
        /// Lines of each log to begin with.
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: u32,
    },
    /// Kill one part with SIGKILL, as a crash would; `muster restart` starts it again.
    Kill {
        /// The part, as `muster status` names it.
        part: String,
    },
    /// Stop one part, even a stopped or hung process, and start it again; does not touch other parts.
    Restart {
        /// The part, as `muster status` names it.
        part: String,
    },
    /// Run another program, or other settings, in place of one service; waits until it is ready.
    Deploy(deploys::Args),
    /// Go back to the previous release of a service.
    Rollback {
        /// The service.
        #[arg(value_parser = SERVICES)]
        part: String,
    },
    /// List the releases of each service, the newest last.
    Deploys,
    /// Start the parts that tests need beside a running stack, run a command, stop them.
    Run {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Show or renew the certificates of the services.
    #[command(subcommand)]
    Certificates(certificates::Command),
    /// Print a bearer token for local use.
    Token(token::Args),
    /// Print the addresses and keys of the stack for `loadtest run --target`.
    Target,
    /// Show one order end to end, or place many and reconcile.
    Demo(demo::Args),
    /// Show open pages and tickets, and the history of alerts.
    Pager(pager::Args),
    /// Practise on-call: real faults under load, graded by what the system does.
    #[command(subcommand)]
    Drill(drill::Command),
    /// Run the current drill; `muster drill start` runs this.
    #[command(hide = true)]
    DrillRunner,
    /// Print the addresses of the parts as shell variables: `eval "$(muster env)"`.
    Env,
    /// List, show, replay and discard dead letters.
    DeadLetters(dead_letters::Args),
    /// Let email-consumer handle the events of the last minutes again; an event whose mail was sent has no effect.
    Rewind(rewind::Args),
    /// Retry waiting orders.
    #[command(subcommand)]
    Orders(OrdersCommand),
    /// Receive alerts from Alertmanager and keep them for `muster pager`; `muster up` runs this.
    #[command(hide = true)]
    PagerReceiver(alerts::Settings),
    /// Start a separate stack, measure, and print each figure beside its baseline.
    Bench(loadtest::bench::Args),
    /// Start a separate stack, put it under load, kill and disturb its processes and connections at random, and reconcile.
    Torture(crate::torture::Args),
    /// Deploy to the cluster of KUBECONFIG, and test it under failures.
    ClusterCheck(check::Args),
    /// Print the Secrets of a Kubernetes cluster as a manifest.
    ClusterSecrets {
        /// The namespace in the manifest.
        #[arg(long, default_value = NAMESPACE)]
        namespace: String,
        /// The directory that stores the secrets for the next time; `.muster/cluster` of the checkout if left out.
        #[arg(long, value_name = "DIRECTORY")]
        keep: Option<PathBuf>,
        /// Write files into this directory, as Docker Compose reads them, instead of printing a manifest.
        #[arg(long, value_name = "DIRECTORY")]
        files: Option<PathBuf>,
    },
    /// Connect an on-call desk with its cluster; `muster up --target cluster` runs this.
    #[command(hide = true)]
    ClusterLink(link::Args),
    /// Forward connections inside a cluster; the gateway of an on-call desk runs this.
    #[command(hide = true)]
    Relay(relay::Args),
    /// Create the topics of the product; a Kubernetes cluster runs this as a job.
    #[command(hide = true)]
    Topics {
        /// Brokers to start from, `host:port` separated by commas.
        #[arg(long)]
        bootstrap_servers: String,
    },
    /// Purge the mail server before its memory is full; `muster up` runs this.
    #[command(hide = true)]
    MailboxKeeper(mailbox_keeper::Args),
    /// Receive spans as OTLP and send them to Zipkin; `muster up` runs this.
    #[command(hide = true)]
    OtlpReceiver {
        /// The address for exporters.
        #[arg(long, value_name = "IP:PORT")]
        listen: SocketAddr,
        /// The Zipkin that stores the spans.
        #[arg(long)]
        zipkin_url: String,
    },
}

#[derive(Debug, Subcommand)]
enum OrdersCommand {
    /// Retry every order that waits after a failure, and show how many orders are not final.
    Wake {
        /// The database of the order service; default: that of the local stack.
        #[arg(long, env = "ORDERS_DATABASE_URL", hide_env_values = true)]
        database_url: Option<String>,
    },
}

/// Limit for the time to a broker that creates the topics. The job in the cluster runs again after it.
const TOPICS_TIMEOUT: Duration = Duration::from_mins(5);

const NO_STACK: &str =
    "this checkout has no stack: `make up` first; for a cluster, `muster up --target cluster`";

impl Cli {
    /// Runs the command; prints an error on standard error.
    pub async fn run(self) -> ExitCode {
        self.command.run(self.target).await.unwrap_or_else(|error| {
            print_error(format_args!("{error:#}"));
            ExitCode::FAILURE
        })
    }
}

impl Command {
    /// Whether the command changes processes that in a cluster Kubernetes runs, or uses an address that only its pods know.
    fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Kill { .. }
                | Self::Deploy(_)
                | Self::Rollback { .. }
                | Self::Deploys
                | Self::Certificates(_)
                | Self::Demo(demo::Args { at: None, .. })
                | Self::DeadLetters(dead_letters::Args { url: None, .. })
                | Self::Rewind(rewind::Args { bootstrap_servers: None, .. })
        )
    }

    async fn run(self, place: Place) -> anyhow::Result<ExitCode> {
        ensure!(
            place == Place::Local || !self.is_local(),
            "this command works on the local stack only; in a cluster use kubectl (docs/kubernetes.md)"
        );
        match self {
            Self::Up(requested) => local::up(place, requested).await?,
            Self::Down => local::down(place).await?,
            Self::Status => return status::run(place).await,
            Self::Logs { part, follow, previous, lines } => {
                local::logs(place, part, follow, previous, lines)?;
            }
            Self::Kill { part } => local::kill(&part).await?,
            Self::Restart { part } => local::restart(place, &part).await?,
            Self::Deploy(args) => deploys::deploy(args).await?,
            Self::Rollback { part } => deploys::rollback(&part).await?,
            Self::Deploys => deploys::list()?,
            Self::Run { command } => return run::run(&command).await,
            Self::Certificates(command) => certificates::run(command)?,
            Self::Token(args) => token::run(place, args)?,
            Self::Target => local::target(place)?,
            Self::Demo(args) => demo::run(args).await?,
            Self::Pager(args) => pager::run(place, args).await?,
            Self::Drill(command) => run_drill(place, command).await?,
            Self::DrillRunner => drill::run_to_the_end(&config(place)?).await?,
            Self::Env => local::env(place)?,
            Self::DeadLetters(args) => {
                let url = match &args.url {
                    Some(url) => url.clone(),
                    None => url(local_config()?.ports.email_consumer()),
                };
                dead_letters::run(place, args, url).await?;
            }
            Self::Rewind(args) => local::rewind(args).await?,
            Self::Orders(OrdersCommand::Wake { database_url }) => {
                let database = match database_url {
                    Some(url) => orders::parse_url(&url)?,
                    None => PostgresEndpoint::of(&config(place)?)?.config("orders"),
                };
                print(orders::wake(database).await?);
            }
            Self::PagerReceiver(settings) => alerts::serve(settings).await?,
            Self::Bench(args) => bench::run(args).await?,
            Self::Torture(args) => return torture::run(&args).await,
            Self::ClusterCheck(args) => check::run(&Checkout::find()?, &args).await?,
            Self::ClusterSecrets { namespace, keep, files } => cluster_secrets(&namespace, keep, files)?,
            Self::ClusterLink(args) => link::run(args).await?,
            Self::Relay(args) => relay::run(args).await?,
            Self::Topics { bootstrap_servers } => {
                until_ok(TOPICS_TIMEOUT, || create_topics(&bootstrap_servers, TOPICS))
                    .await
                    .context("the topics cannot be created")?;
            }
            Self::MailboxKeeper(args) => mailbox_keeper::run(args).await?,
            Self::OtlpReceiver { listen, zipkin_url } => otlp::serve(listen, &zipkin_url).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn run_drill(place: Place, command: drill::Command) -> anyhow::Result<()> {
    let checkout = Checkout::find()?;
    drill::require(&command, place, &checkout)?;
    match command {
        drill::Command::List => drill::list(&checkout),
        drill::Command::Check(args) if args.needs_stack().is_none() => {
            drill::run_jobs(place, &checkout, &args).await
        }
        command => {
            if let Some(requested) = command.needs_stack()
                && !local::is_up(place)?
            {
                local::up(place, requested).await?;
            }
            // The start of a stack has replaced what signals do by default, for the rest of this process.
            let mut interrupts = Interrupts::listen()?;
            let config = config(place)?;
            tokio::select! {
                outcome = drill::run(command, &config) => outcome,
                _ = interrupts.next() => bail!("interrupted; `muster drill abort` ends a drill that runs"),
            }
        }
    }
}

fn cluster_secrets(namespace: &str, keep: Option<PathBuf>, files: Option<PathBuf>) -> anyhow::Result<()> {
    let kept = match keep {
        Some(kept) => kept,
        None => kept_secrets(&Checkout::find()?),
    };
    let manifest = secrets::manifest(&kept, namespace)?;
    if let Some(directory) = files {
        return secrets::write_files(&manifest, &directory);
    }
    print(serde_json::to_string_pretty(&manifest).context("the manifest")?);
    Ok(())
}

/// The stack of a place, locked for changes; `None` before the first `up`.
fn open(place: Place) -> anyhow::Result<Option<(Stack, State)>> {
    let Some((stack, _)) = read(place)? else { return Ok(None) };
    let state = State::open(&stack.config.state_dir)?;
    Ok(Some((stack, state)))
}

fn open_local() -> anyhow::Result<Option<(Stack, State)>> {
    open(Place::Local)
}

fn config(place: Place) -> anyhow::Result<StackConfig> {
    Ok(read(place)?.context(NO_STACK)?.0.config)
}

fn local_config() -> anyhow::Result<StackConfig> {
    config(Place::Local)
}

/// The stack of a place and its record; `None` before the first `up`.
fn read(place: Place) -> anyhow::Result<Option<(Stack, Record)>> {
    let checkout = Checkout::find()?;
    let record = Record::read(&place.state_dir(&checkout))?;
    let Some(base) = record.port_base else { return Ok(None) };
    let config = StackConfig::at(place, checkout, Ports::from_base(base)?)?;
    Ok(Some((Stack::local(config, record.profile.unwrap_or_default()), record)))
}

fn read_local() -> anyhow::Result<Option<(Stack, Record)>> {
    read(Place::Local)
}
