//! Releases of services: what `muster deploy` runs in place of the build of the checkout, since when, and with which settings.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::process::Launch;

/// The services that `muster deploy` accepts.
pub(crate) const SERVICES: [&str; 3] = ["orders", "url-shortener", "email-consumer"];

/// Maximum number of releases of one service in the record. The oldest are dropped.
const KEPT: usize = 20;

/// Parts of the name of a setting whose value is not shown.
const SECRET: [&str; 5] = ["KEY", "PASSWORD", "SECRET", "TOKEN", "DATABASE_URL"];

/// One release of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Release {
    pub(crate) name: String,
    pub(crate) deployed_at: DateTime<Utc>,
    pub(crate) rolled_back_at: Option<DateTime<Utc>>,
    /// `None`: the program that is built beside this one.
    pub(crate) program: Option<PathBuf>,
    /// Environment variables that replace those of the part.
    pub(crate) settings: BTreeMap<String, String>,
}

impl Release {
    /// The launch of a part with the program and the settings of this release. The service shows the name in `build_info`.
    pub(crate) fn apply(&self, launch: Launch) -> Launch {
        let launch = match &self.program {
            Some(program) => launch.program(program),
            None => launch,
        };
        let launch = launch.env("OTEL_RESOURCE_ATTRIBUTES", format!("service.version={}", self.name));
        self.settings.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
    }

    /// Program and settings, without secret values.
    fn details(&self) -> String {
        let mut text = match &self.program {
            Some(program) => program.display().to_string(),
            None => "build of this checkout".to_owned(),
        };
        for (name, value) in &self.settings {
            let is_secret = SECRET.iter().any(|part| name.contains(part));
            let value = if is_secret { "(not shown)" } else { value };
            write!(text, ", {name}={value}").expect("a text accepts every write");
        }
        text
    }
}

/// The releases of one service, the newest last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Releases(Vec<Release>);

impl Releases {
    /// The release that the service runs; `None` if it runs the build of the checkout.
    pub(crate) fn current(&self) -> Option<&Release> {
        self.0.iter().rfind(|release| release.rolled_back_at.is_none())
    }

    pub(crate) fn deploy(&mut self, release: Release) {
        self.0.push(release);
        let n_dropped = self.0.len().saturating_sub(KEPT);
        self.0.drain(..n_dropped);
    }

    /// Makes the release before the current one current.
    pub(crate) fn roll_back(&mut self, at: DateTime<Utc>) {
        if let Some(current) = self.0.iter_mut().rfind(|release| release.rolled_back_at.is_none()) {
            current.rolled_back_at = Some(at);
        }
    }

    /// Each deployment and each rollback of `part`, with its time.
    pub(crate) fn changes(&self, part: &str) -> impl Iterator<Item = (DateTime<Utc>, String)> {
        self.0.iter().flat_map(move |Release { name, deployed_at, rolled_back_at, .. }| {
            let deployed = (*deployed_at, format!("release {name} of {part} is deployed"));
            let rolled_back =
                rolled_back_at.map(|at| (at, format!("release {name} of {part} is rolled back")));
            [deployed].into_iter().chain(rolled_back)
        })
    }

    /// Lines of `muster deploys`, the newest release last.
    pub(crate) fn lines(&self, part: &str) -> Vec<String> {
        let current = self.current();
        let line = |time: &str, name: &str, state: &str, details: &str| {
            format!("{part:<15}  {time:<20}  {name:<20}  {state:<32}  {details}").trim_end().to_owned()
        };
        let state = if current.is_none() { "current" } else { "replaced" };
        let mut lines = vec![line("-", "-", state, "build of this checkout")];
        lines.extend(self.0.iter().map(|release| {
            let state = match release.rolled_back_at {
                Some(at) => format!("rolled back {}", time(at)),
                None if Some(release) == current => "current".to_owned(),
                None => "replaced".to_owned(),
            };
            line(&time(release.deployed_at), &release.name, &state, &release.details())
        }));
        lines
    }
}

/// A time in UTC, to the second.
fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(name: &str, settings: &[(&str, &str)]) -> Release {
        Release {
            name: name.to_owned(),
            deployed_at: DateTime::UNIX_EPOCH,
            rolled_back_at: None,
            program: None,
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn each_rollback_goes_one_release_further_back() {
        let mut releases = Releases::default();
        for name in ["one", "two"] {
            releases.deploy(release(name, &[]));
        }
        let mut current = Vec::new();
        for _ in 0..4 {
            current.push(releases.current().map(|release| release.name.clone()));
            releases.roll_back(DateTime::UNIX_EPOCH);
        }
        assert_eq!(current, [Some("two".to_owned()), Some("one".to_owned()), None, None]);

        let changes: Vec<_> = releases.changes("orders").map(|(_, what)| what).collect();
        assert_eq!(changes.len(), 4);
        assert_eq!(changes[0], "release one of orders is deployed");
        assert_eq!(changes[3], "release two of orders is rolled back");

        releases.deploy(release("three", &[]));
        let lines = releases.lines("orders");
        let states = ["  replaced  ", "  rolled back 1970", "  rolled back 1970", "  current  "];
        assert_eq!(lines.len(), states.len());
        for (line, state) in lines.iter().zip(states) {
            assert!(line.contains(state), "{state}: {line}");
        }
    }

    #[test]
    fn the_oldest_releases_are_dropped() {
        let mut releases = Releases::default();
        for number in 0..KEPT + 2 {
            releases.deploy(release(&number.to_string(), &[]));
        }
        assert_eq!((releases.0.len(), releases.0[0].name.as_str()), (KEPT, "2"));
    }

    #[test]
    fn the_list_shows_no_secret_value() {
        let secrets = ["ORDERS_CURSOR_KEYS", "SMTP_PASSWORD", "CLIENT_SECRET", "API_TOKEN", "DATABASE_URL"];
        for name in secrets {
            let line = release("one", &[(name, "hidden"), ("LOG_FORMAT", "json")]).details();
            assert_eq!(line, {
                let mut parts = [format!("{name}=(not shown)"), "LOG_FORMAT=json".to_owned()];
                parts.sort();
                format!("build of this checkout, {}", parts.join(", "))
            });
        }
    }
}
