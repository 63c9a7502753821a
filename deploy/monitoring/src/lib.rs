#![doc = include_str!("../README.md")]

mod alertmanager;
mod buckets;
mod burn;
mod causes;
mod profile;
mod rules;
pub mod runbook;
mod spec;
mod window;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
pub use profile::Profile;

/// Path and text of a generated file.
#[derive(Debug)]
pub struct Generated {
    /// Relative to the directory of the sources.
    pub path: PathBuf,
    /// The whole file.
    pub text: String,
}

/// Generates every file from the sources in a directory such as `deploy/monitoring`.
///
/// # Errors
/// A source cannot be read or is invalid; the message names the file.
pub fn generate(sources: &Path) -> anyhow::Result<Vec<Generated>> {
    let mut files = Vec::new();
    for profile in Profile::ALL {
        let rules = Path::new("rules").join(profile.name());
        for source in specs(sources)? {
            let spec: spec::Spec = parse(&source)?;
            let groups = burn::groups(&spec, profile).with_context(|| source.display().to_string())?;
            let path = rules.join(format!("{}.yml", spec.service));
            files.push(Generated { path, text: rules::write(&groups, profile)? });
        }
        let source = sources.join("causes.yaml");
        let groups =
            causes::groups(parse(&source)?, profile).with_context(|| source.display().to_string())?;
        files.push(Generated { path: rules.join("causes.yml"), text: rules::write(&groups, profile)? });

        let source = sources.join("alertmanager.yaml");
        let config =
            alertmanager::config(parse(&source)?, profile).with_context(|| source.display().to_string())?;
        let path = Path::new("alertmanager").join(format!("{}.yml", profile.name()));
        files.push(Generated { path, text: rules::write(&config, profile)? });
    }
    Ok(files)
}

fn specs(sources: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let dir = sources.join("slo");
    let entries = fs::read_dir(&dir).with_context(|| dir.display().to_string())?;
    let mut specs = entries
        .map(|entry| Ok(entry.context("an entry cannot be read")?.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    specs.sort();
    Ok(specs)
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_norway::from_str(&text).with_context(|| path.display().to_string())
}
