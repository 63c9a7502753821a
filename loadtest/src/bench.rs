//! Benchmarks: figures of the services, each beside a baseline from the same run on the same machine.
//!
//! The baseline of orders is pgbench, which executes the statements of the service in a database with the service's schema. The
//! baseline of mails is a bare SMTP client, that of the outbox a bare producer, that of shedding the same mails without promotions.

mod backlog;
mod closed_loop;
mod cpu;
mod mails;
mod orders;
mod outbox;
mod pages;
mod pgbench;
mod postgres;
mod publisher;
mod shedding;
mod slow_smtp;
mod table;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
pub use backlog::BACKLOG_TOPIC;
pub use mails::{DEAD_LETTER_TOPIC, EVENTS_TOPIC, RETRY_TOPIC};
pub use outbox::OUTBOX_TOPIC;
pub use postgres::Postgres;
pub use shedding::{ORDERS_TOPIC, PROMOTIONS_TOPIC};
use tokio::process::Child;
use uuid::Uuid;

use crate::target::Target;

/// Duration of one measurement.
const MEASURED: Duration = Duration::from_secs(20);

/// The time before a measurement: fills caches and prepares statements.
const WARM_UP: Duration = Duration::from_secs(3);

/// The lifetime of the token.
const DURATION: Duration = Duration::from_hours(1);

/// The mail address of the orders.
const CUSTOMER: &str = "bench@example.com";

/// Starts an email-consumer with these environment variables, which replace those of the stack. The arguments are a name for its log,
/// and its program if it is not that of this build.
pub type StartEmailConsumer<'a> =
    dyn Fn(&str, Option<&Path>, Vec<(&'static str, String)>) -> anyhow::Result<Child> + 'a;

/// The stack to measure. It must have no other load.
pub struct Stack<'a> {
    /// The services, with mailbox and events.
    pub target: Target,
    /// The database server.
    pub postgres: Postgres,
    /// The mail server: `host:port`.
    pub smtp: String,
    /// The process of the order service.
    pub orders: u32,
    /// The process of the broker.
    pub broker: u32,
    /// See [`StartEmailConsumer`].
    pub start_email_consumer: &'a StartEmailConsumer<'a>,
}

impl Stack<'_> {
    /// Makes a database for an email-consumer, and returns its environment: it reads this topic, as a group of its own.
    async fn consumer_env(&self, name: &str, topic: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
        let database = format!("consumer_{name}");
        let client = self.postgres.connect("postgres").await?;
        client.batch_execute(&format!("CREATE DATABASE {database}")).await.context("its database")?;
        let (retry_topic, retry_delay) = RETRY_TOPIC.rsplit_once('.').context("the name of a retry topic")?;
        Ok(vec![
            ("DATABASE_URL", self.postgres.url(&database)),
            ("ORDERS_EVENTS_TOPIC", topic.to_owned()),
            ("EMAIL_RETRY_TOPIC", retry_topic.to_owned()),
            ("EMAIL_RETRY_DELAYS", retry_delay.to_owned()),
            ("EMAIL_DEAD_LETTER_TOPIC", DEAD_LETTER_TOPIC.to_owned()),
            ("EMAIL_GROUP_ID", format!("bench-{name}")),
            // Another key gives other codes, so that each email-consumer creates its own links.
            ("EMAIL_LINK_CODE_KEY", format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())),
        ])
    }
}

/// A group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    /// `POST /v1/orders`.
    Orders,
    /// `GET /v1/orders`.
    Pages,
    /// Mails of email-consumer.
    Mails,
    /// Events of the outbox.
    Outbox,
    /// Mails about orders while promotions exceed what the mail server takes.
    Shedding,
    /// Resident memory of email-consumer while events wait.
    Backlog,
}

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A directory with the programs of an earlier commit, whose email-consumer is measured too.
    #[arg(long, value_name = "DIR")]
    pub baseline: Option<PathBuf>,
    /// Measure only these groups; default: all.
    #[arg(long, value_enum)]
    pub only: Vec<Group>,
}

/// The result of one closed loop. Latencies are not a number where only a rate was measured.
#[derive(Clone, Copy, Debug)]
struct Figures {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Measures, and returns the figures as a table.
pub async fn bench(stack: &Stack<'_>, args: &Args) -> anyhow::Result<String> {
    let api = stack.target.api(DURATION)?;
    stack.postgres.create_database().await.context("the database of pgbench")?;
    let wanted = |group| args.only.is_empty() || args.only.contains(&group);
    let (mut rows, mut tables) = (Vec::new(), String::new());
    if wanted(Group::Orders) {
        rows.extend(orders::measure(stack, &api).await.context("orders")?);
    }
    // Before the pages, whose million orders would be vacuumed at the same time.
    if wanted(Group::Mails) {
        let earlier = args.baseline.as_ref().map(|directory| directory.join("email-consumer"));
        rows.extend(mails::measure(stack, earlier.as_deref()).await.context("mails")?);
    }
    if wanted(Group::Outbox) {
        let (figures, costs) = outbox::measure(stack).await.context("outbox")?;
        rows.extend(figures);
        write!(tables, "\n\n{costs}")?;
    }
    if wanted(Group::Pages) {
        rows.extend(pages::measure(stack, &api).await.context("pages")?);
    }
    if wanted(Group::Shedding) {
        rows.push(shedding::measure(stack).await.context("shedding")?);
    }
    if wanted(Group::Backlog) {
        write!(tables, "\n\nemail-consumer:\n\n{}", backlog::measure(stack).await.context("backlog")?)?;
    }
    let build = if cfg!(debug_assertions) { "debug, not for comparison" } else { "release" };
    let (seconds, mails, table) = (MEASURED.as_secs(), mails::MAILS, table::render(&rows));
    Ok(format!("\nBuild: {build}. Each figure: {seconds} s; mails: {mails}.\n\n{table}{tables}"))
}
