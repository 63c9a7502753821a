#![doc = include_str!("../README.md")]

mod burn;
mod rules;
pub mod runbook;
mod scaled;
mod spec;
mod window;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
pub use burn::FLOOR;
use serde::{Serialize, de::DeserializeOwned};
pub use window::Profile;

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
            let name = source.file_name().context("an objective is in a file")?;
            let path = rules.join(name).with_extension("yml");
            files.push(Generated { path, text: convert(&source, profile, burn::groups)? });
        }
        let text = convert(&sources.join("causes.yaml"), profile, scaled::causes)?;
        files.push(Generated { path: rules.join("causes.yml"), text });

        let path = Path::new("alertmanager").join(profile.name()).with_extension("yml");
        let text = convert(&sources.join("alertmanager.yaml"), profile, scaled::alertmanager)?;
        files.push(Generated { path, text });
    }
    Ok(files)
}

/// An objective of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The service.
    pub service: String,
    /// The value of the label `slo`.
    pub name: String,
    /// The share of bad events that the objective allows.
    pub allowed_error_ratio: f64,
}

/// Reads the objectives of all services from the sources in a directory such as `deploy/monitoring`.
///
/// # Errors
/// A source cannot be read or is invalid; the message names the file.
pub fn objectives(sources: &Path) -> anyhow::Result<Vec<Objective>> {
    let mut objectives = Vec::new();
    for source in specs(sources)? {
        let text = fs::read_to_string(&source).with_context(|| source.display().to_string())?;
        let spec: spec::Spec = serde_norway::from_str(&text).with_context(|| source.display().to_string())?;
        objectives.extend(spec.slos.into_iter().map(|slo| Objective {
            service: spec.service.clone(),
            name: slo.name,
            allowed_error_ratio: 1.0 - slo.objective / 100.0,
        }));
    }
    Ok(objectives)
}

fn specs(sources: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let dir = sources.join("slo");
    let entries = fs::read_dir(&dir).with_context(|| dir.display().to_string())?;
    let mut specs = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    specs.sort();
    Ok(specs)
}

fn convert<S: DeserializeOwned, T: Serialize>(
    source: &Path,
    profile: Profile,
    generate: impl FnOnce(S, Profile) -> anyhow::Result<T>,
) -> anyhow::Result<String> {
    let convert = || {
        let contents = generate(serde_norway::from_str(&fs::read_to_string(source)?)?, profile)?;
        rules::write(&contents, profile)
    };
    convert().with_context(|| source.display().to_string())
}
