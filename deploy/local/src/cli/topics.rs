//! `muster topics`: makes the topics of the product, for a cluster whose Kafka nobody else looks after.

use std::time::Duration;

use anyhow::Context;

use crate::parts::kafka::{TOPICS, create_topics};
use crate::readiness::until_ok;

/// How long to wait for a broker. The job that runs this tries again after that.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Which Kafka.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Brokers to start from, `host:port` separated by commas.
    #[arg(long)]
    bootstrap_servers: String,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    until_ok(TIMEOUT, || create_topics(&args.bootstrap_servers, TOPICS))
        .await
        .context("the topics cannot be made")
}
