//! The schema files of a repository: `schemas/` has the working ones, `released/` every version that shipped, with a digest of
//! each.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::gate::Version;

/// The file of digests, in the format of `sha256sum`.
const DIGESTS: &str = "SHA256SUMS";

const SUFFIX: &str = ".avsc";

/// The schemas of one event.
#[derive(Clone, Debug)]
pub struct EventSchemas {
    /// Directory and type, such as `orders/OrderPlaced`.
    pub name: String,
    /// The working schema; none if its file was removed.
    pub working: Option<String>,
    /// The released versions, oldest first.
    pub released: Vec<Version>,
}

/// Why the files cannot be used.
#[derive(Debug, Error)]
pub enum Broken {
    /// A file cannot be read or written.
    #[error("{0}")]
    Io(PathBuf, #[source] io::Error),
    /// A file has another name than `<Type>.avsc` or `<Type>.v<n>.avsc`.
    #[error("{0}: expected a file such as `orders/OrderPlaced.avsc`, and with `.v1.avsc` a released one")]
    Name(PathBuf),
    /// A released version has changed.
    #[error("{0} has changed: a released version never does. Restore it from the history")]
    Changed(String),
    /// A released version was removed.
    #[error(
        "{0} is missing: consumers read its events for as long as topics and dead letters have some. Restore it from the history"
    )]
    Removed(String),
    /// A file was added without a release.
    #[error("{0} has no digest: only `make schemas/release` adds released versions")]
    Unreleased(String),
}

/// The directory with `schemas/` and `released/`.
#[derive(Clone, Debug)]
pub struct Releases {
    root: PathBuf,
}

impl Releases {
    /// Uses this directory.
    pub fn of(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Reads the schemas of every event, after it has compared the released ones with their digests.
    pub fn read(&self) -> Result<Vec<EventSchemas>, Broken> {
        self.check_digests()?;
        let mut events: BTreeMap<String, EventSchemas> = BTreeMap::new();
        for (name, text) in schemas(&self.root.join("schemas"))? {
            entry(&mut events, &name).working = Some(text);
        }
        for (file, text) in schemas(&self.released())? {
            let version =
                file.rsplit_once(".v").and_then(|(name, number)| Some((name, number.parse().ok()?)));
            let (name, number) = version.ok_or_else(|| Broken::Name(file.clone().into()))?;
            entry(&mut events, name).released.push(Version { number, text });
        }
        let mut events: Vec<_> = events.into_values().collect();
        for event in &mut events {
            event.released.sort_by_key(|version| version.number);
        }
        Ok(events)
    }

    /// Adds each working schema that differs from the newest released version of its event; returns the files.
    pub fn release(&self) -> Result<Vec<String>, Broken> {
        let mut added = Vec::new();
        for event in self.read()? {
            let Some(working) = event.working else { continue };
            let newest = event.released.last();
            if newest.is_some_and(|newest| is_same(&newest.text, &working)) {
                continue;
            }
            let number = newest.map_or(1, |newest| newest.number + 1);
            let file = format!("{}.v{number}{SUFFIX}", event.name);
            self.add(&file, &working)?;
            added.push(file);
        }
        Ok(added)
    }

    fn add(&self, file: &str, text: &str) -> Result<(), Broken> {
        let path = self.released().join(file);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| Broken::Io(directory.to_owned(), error))?;
        }
        write(&path, text)?;
        let digests = format!("{}{}  {file}\n", self.digests()?, digest(text));
        write(&self.released().join(DIGESTS), &digests)
    }

    fn check_digests(&self) -> Result<(), Broken> {
        let digests = self.digests()?;
        let mut recorded: BTreeMap<&str, &str> = digests
            .lines()
            .filter_map(|line| line.split_once("  "))
            .map(|(digest, file)| (file, digest))
            .collect();
        for (name, text) in schemas(&self.released())? {
            let file = format!("{name}{SUFFIX}");
            match recorded.remove(file.as_str()) {
                Some(recorded) if recorded == digest(&text) => {}
                Some(_) => return Err(Broken::Changed(file)),
                None => return Err(Broken::Unreleased(file)),
            }
        }
        recorded.into_keys().next().map_or(Ok(()), |file| Err(Broken::Removed(file.to_owned())))
    }

    /// The text of the file of digests; empty before the first release.
    fn digests(&self) -> Result<String, Broken> {
        let path = self.released().join(DIGESTS);
        if path.exists() { read(&path) } else { Ok(String::new()) }
    }

    fn released(&self) -> PathBuf {
        self.root.join("released")
    }
}

fn entry<'a>(events: &'a mut BTreeMap<String, EventSchemas>, name: &str) -> &'a mut EventSchemas {
    let new = EventSchemas { name: name.to_owned(), working: None, released: Vec::new() };
    events.entry(name.to_owned()).or_insert(new)
}

/// Path without suffix, from `root`, and text of each schema file.
fn schemas(root: &Path) -> Result<Vec<(String, String)>, Broken> {
    let mut schemas = Vec::new();
    for directory in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        for path in entries(&directory)? {
            let name = path.strip_prefix(root).ok().and_then(Path::to_str);
            let name =
                name.and_then(|name| name.strip_suffix(SUFFIX)).ok_or_else(|| Broken::Name(path.clone()))?;
            schemas.push((name.to_owned(), read(&path)?));
        }
    }
    Ok(schemas)
}

/// The entries of a directory; none if it does not exist.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Broken> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let broken = |error| Broken::Io(directory.to_owned(), error);
    let entries = fs::read_dir(directory).map_err(broken)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(broken)).collect()
}

fn read(path: &Path) -> Result<String, Broken> {
    fs::read_to_string(path).map_err(|error| Broken::Io(path.to_owned(), error))
}

fn write(path: &Path, text: &str) -> Result<(), Broken> {
    fs::write(path, text).map_err(|error| Broken::Io(path.to_owned(), error))
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Whether two texts are the same JSON.
fn is_same(left: &str, right: &str) -> bool {
    let parse = |text| serde_json::from_str::<Value>(text).ok();
    parse(left) == parse(right)
}
