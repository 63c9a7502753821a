//! `muster otlp-receiver`: the process that `muster up` runs as a part of the stack.

use std::net::SocketAddr;

use crate::otlp;

/// Where to listen and where to send.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where exporters find it.
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddr,
    /// The Zipkin that takes the spans.
    #[arg(long)]
    zipkin_url: String,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    otlp::serve(args.listen, &args.zipkin_url).await
}
