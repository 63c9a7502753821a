//! `muster cluster-secrets`: what `kubectl apply` makes Secrets of, or what Docker Compose reads.

use std::path::PathBuf;

use anyhow::Context;

use crate::checkout::Checkout;
use crate::cluster::{NAMESPACE, kept_secrets, secrets};
use crate::console::print;

/// Where they are kept and where they go.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The namespace in the manifest.
    #[arg(long, default_value = NAMESPACE)]
    namespace: String,
    /// The directory that keeps them, so that they are the same the next time; `.muster/cluster` of the checkout if left
    /// out.
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
    /// Write them as files into this directory instead of printing a manifest.
    #[arg(long, value_name = "DIRECTORY")]
    files: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let kept = match args.keep {
        Some(kept) => kept,
        None => kept_secrets(&Checkout::find()?),
    };
    let manifest = secrets::manifest(&kept, &args.namespace)?;
    if let Some(directory) = &args.files {
        return secrets::write_files(&manifest, directory);
    }
    print(serde_json::to_string_pretty(&manifest).context("the manifest")?);
    Ok(())
}
