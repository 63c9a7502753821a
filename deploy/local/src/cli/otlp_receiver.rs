//! `muster otlp-receiver`: the process that `muster up` runs as a part of the stack.

use crate::otlp;

/// Where to listen and where to send.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The port on the loopback interface.
    #[arg(long)]
    port: u16,
    /// The Zipkin that takes the spans.
    #[arg(long)]
    zipkin_url: String,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    otlp::serve(args.port, &args.zipkin_url).await
}
