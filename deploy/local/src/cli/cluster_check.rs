//! `muster cluster-check`: deploys to a cluster, and does to it what clusters do.

use std::num::NonZeroU32;

use crate::checkout::Checkout;
use crate::cluster::check::{self, Plan};

/// What is deployed, and how hard it is tried.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The overlay: `kind` or `airgapped`.
    #[arg(long, env = "OVERLAY", default_value = "kind", value_parser = ["kind", "airgapped"])]
    overlay: String,
    /// The version that is deployed; the images of this checkout must be there under this tag.
    #[arg(long, env = "TAG", default_value = "0.1.0")]
    tag: String,
    /// The version that is rolled out under load; the images of the services must be there under this tag. The same
    /// version again if left out.
    #[arg(long, env = "NEXT_TAG")]
    next_tag: Option<String>,
    /// Orders placed each second while pods go and come.
    #[arg(long, env = "RATE", default_value_t = NonZeroU32::new(10).expect("it is not zero"))]
    rate: NonZeroU32,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let plan = Plan { overlay: args.overlay, tag: args.tag, next_tag: args.next_tag, rate: args.rate.get() };
    check::run(&Checkout::find()?, &plan).await
}
