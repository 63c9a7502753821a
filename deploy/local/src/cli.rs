//! The command line: every command with its options, and its dispatch.

mod bench;
mod certificates;
mod demo;
mod deploys;
mod local;
mod run;
mod status;
mod token;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::{
    checkout::Checkout,
    cluster::{NAMESPACE, check, kept_secrets, secrets},
    config::StackConfig,
    console::{print, print_error},
    dead_letters, drill,
    endpoints::PostgresEndpoint,
    mailbox_keeper, orders, otlp, pager,
    parts::{
        kafka::{TOPICS, create_topics},
        monitoring::pages_file,
    },
    ports::{Ports, authority},
    profile::Profile,
    readiness::until_ok,
    releases::SERVICES,
    rewind,
    stack::Stack,
    state::{Record, State},
};

/// Muster's local stack: every part as an ordinary process on the loopback interface.
#[derive(Debug, Parser)]
#[command(name = "muster", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the parts that do not run, and wait until every part is ready.
    Up {
        /// The first port of the stack; stored for the next `up`.
        #[arg(long, env = "MUSTER_PORT_BASE")]
        port_base: Option<u16>,
        /// Time scale of the alert rules: `drill` (the default) pages within seconds, `production` as in production; stored for the next
        /// `up`.
        #[arg(long, env = "MUSTER_PROFILE")]
        profile: Option<Profile>,
    },
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
    Pager {
        /// Continue with new events, with the terminal's bell for a page.
        #[arg(short, long)]
        follow: bool,
        #[command(subcommand)]
        command: Option<PagerCommand>,
    },
    /// Practise on-call: real faults under load, graded by what the system does.
    #[command(subcommand)]
    Drill(drill::Command),
    /// Run the current drill; `muster drill start` runs this.
    #[command(hide = true)]
    DrillRunner,
    /// Print the addresses of the parts as shell variables: `eval "$(muster env)"`.
    Env,
    /// Show the dead letters, or replay or discard them.
    DeadLetters(dead_letters::Args),
    /// Let email-consumer handle the events of the last minutes again; an event whose mail was sent has no effect.
    Rewind(rewind::Args),
    /// Retry waiting orders.
    #[command(subcommand)]
    Orders(OrdersCommand),
    /// Receive alerts from Alertmanager and keep them for `muster pager`; `muster up` runs this.
    #[command(hide = true)]
    PagerReceiver(pager::Settings),
    /// Start a separate stack, measure, and print each figure beside its baseline.
    Bench(loadtest::bench::Args),
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

/// What to do with open alerts.
#[derive(Debug, Subcommand)]
enum PagerCommand {
    /// Acknowledge an open alert: you take care of it.
    Ack {
        /// Its name; every open alert if left out.
        alert: Option<String>,
    },
    /// Record whether an alert was actionable, for each of its firings without a review.
    Review {
        /// Its name.
        alert: String,
        /// The responder had to act.
        #[arg(long, conflicts_with = "not_actionable", required_unless_present = "not_actionable")]
        actionable: bool,
        /// The responder had nothing to do: the alert is noise.
        #[arg(long)]
        not_actionable: bool,
    },
    /// Show the load of on-call: pages per week and service, out of hours, acknowledgement, reviews, and the noisiest alerts.
    Report(pager::ReportArgs),
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

const NO_STACK: &str = "this checkout has no stack: `make up` first";

impl Cli {
    /// Runs the command; prints an error on standard error.
    pub async fn run(self) -> ExitCode {
        self.command.run().await.unwrap_or_else(|error| {
            print_error(format_args!("{error:#}"));
            ExitCode::FAILURE
        })
    }
}

impl Command {
    async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up { port_base, profile } => local::up(port_base, profile).await?,
            Self::Down => local::down().await?,
            Self::Status => return status::run().await,
            Self::Logs { part, follow, previous, lines } => local::logs(part, follow, previous, lines)?,
            Self::Kill { part } => local::kill(&part).await?,
            Self::Restart { part } => local::restart(&part).await?,
            Self::Deploy(args) => deploys::deploy(args).await?,
            Self::Rollback { part } => deploys::rollback(&part).await?,
            Self::Deploys => deploys::list()?,
            Self::Run { command } => return run::run(&command).await,
            Self::Certificates(command) => certificates::run(command)?,
            Self::Token(args) => token::run(args)?,
            Self::Target => local::target()?,
            Self::Demo(args) => demo::run(args).await?,
            Self::Pager { follow, command } => {
                let checkout = Checkout::find()?;
                let pages = pages_file(&checkout.state_dir());
                match command {
                    None => pager::show(&pages, checkout.root(), follow).await?,
                    Some(PagerCommand::Ack { alert }) => pager::acknowledge(&pages, alert.as_deref())?,
                    Some(PagerCommand::Review { alert, actionable, .. }) => {
                        pager::review(&pages, &alert, actionable)?;
                    }
                    Some(PagerCommand::Report(args)) => pager::report(&pages, &args)?,
                }
            }
            Self::Drill(drill::Command::List) => drill::list(&Checkout::find()?)?,
            Self::Drill(drill::Command::Check(args)) if !args.needs_stack() => {
                drill::run_jobs(&Checkout::find()?, &args).await?;
            }
            Self::Drill(command) => {
                if command.needs_stack() && !local::is_up()? {
                    local::up(None, None).await?;
                }
                drill::run(command, &local_config()?).await?;
            }
            Self::DrillRunner => drill::run_to_the_end(&local_config()?).await?,
            Self::Env => local::env()?,
            Self::DeadLetters(args) => {
                let servers = match &args.bootstrap_servers {
                    Some(servers) => servers.clone(),
                    None => authority(local_config()?.ports.kafka()),
                };
                dead_letters::run(args, servers).await?;
            }
            Self::Rewind(args) => local::rewind(args).await?,
            Self::Orders(OrdersCommand::Wake { database_url }) => {
                let database = match database_url {
                    Some(url) => orders::parse_url(&url)?,
                    None => PostgresEndpoint::of(&local_config()?)?.config("orders"),
                };
                print(orders::wake(database).await?);
            }
            Self::PagerReceiver(settings) => pager::serve(settings).await?,
            Self::Bench(args) => bench::run(args).await?,
            Self::ClusterCheck(args) => check::run(&Checkout::find()?, &args).await?,
            Self::ClusterSecrets { namespace, keep, files } => cluster_secrets(&namespace, keep, files)?,
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

/// The stack of `muster up`, locked for changes; `None` before the first `up`.
fn open_local() -> anyhow::Result<Option<(Stack, State)>> {
    let Some((stack, _)) = read_local()? else { return Ok(None) };
    let state = State::open(&stack.config.state_dir)?;
    Ok(Some((stack, state)))
}

fn local_config() -> anyhow::Result<StackConfig> {
    Ok(read_local()?.context(NO_STACK)?.0.config)
}

/// The stack of `muster up` and its record; `None` before the first `up`.
fn read_local() -> anyhow::Result<Option<(Stack, Record)>> {
    let checkout = Checkout::find()?;
    let state_dir = checkout.state_dir();
    let record = Record::read(&state_dir)?;
    let Some(base) = record.port_base else { return Ok(None) };
    let config = StackConfig::prepare(checkout, state_dir, Ports::from_base(base)?)?;
    Ok(Some((Stack::local(config, record.profile.unwrap_or_default()), record)))
}
