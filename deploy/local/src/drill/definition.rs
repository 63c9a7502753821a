//! Definition of a drill: `loadtest/drills/NAME/drill.toml`, with the scripts beside it.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use serde::Deserialize;

use crate::{checkout::Checkout, place::Place, traffic::Rates};

/// A drill, read from its directory.
#[derive(Debug)]
pub(crate) struct Drill {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) file: DrillFile,
}

/// The contents of `drill.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrillFile {
    /// What users notice; does not reveal the cause.
    pub(crate) title: String,
    /// 1 (one look finds it) to 3 (several causes look alike).
    pub(crate) level: u8,
    /// What the responder knows at the beginning.
    pub(crate) story: String,
    /// Where the drill runs.
    pub(crate) targets: Vec<Place>,
    /// Why it does not run on a cluster; required if `targets` lacks it.
    #[serde(default)]
    pub(crate) not_on_cluster: Option<String>,
    /// Not proven by `muster drill check` yet: neither drawn nor proven unless it is named.
    #[serde(default)]
    pub(crate) draft: bool,
    /// Whether its result depends on what else the machine does: `drill check --jobs` proves it while nothing else runs.
    #[serde(default)]
    pub(crate) alone: bool,
    /// Whether something is wrong. A drill without a fault checks that the responder changes nothing.
    #[serde(default = "yes")]
    pub(crate) fault: bool,
    /// The steady traffic.
    pub(crate) traffic: Rates,
    /// Seconds of traffic before the fault.
    #[serde(default = "default_warm_up")]
    pub(crate) warm_up_s: u64,
    /// Variables of the scripts. The seed selects one value of each.
    #[serde(default)]
    pub(crate) draw: BTreeMap<String, Vec<String>>,
    /// The alerts that must fire; the first has to reach the pager. A drill without a fault may have none.
    #[serde(default)]
    pub(crate) alert: Vec<ExpectedAlert>,
    /// The accepted answers with their credit in percent.
    pub(crate) answers: Answers,
    /// What `muster drill answer --choice` accepts, if the story asks for a choice; the script `check` compares it.
    #[serde(default)]
    pub(crate) choices: Vec<String>,
    pub(crate) recovery: Recovery,
    #[serde(default)]
    pub(crate) hint: Vec<Hint>,
    /// Messages for the game master to pass on.
    #[serde(default)]
    pub(crate) message: Vec<Message>,
}

/// An alert and its deadline.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedAlert {
    pub(crate) name: String,
    /// `page` or `ticket`.
    pub(crate) severity: String,
    /// Seconds from the injection.
    pub(crate) within_s: u64,
}

impl ExpectedAlert {
    pub(crate) fn within(&self) -> Duration {
        Duration::from_secs(self.within_s)
    }
}

impl fmt::Display for ExpectedAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.severity, self.name)
    }
}

/// The accepted answers of each closed list, with their credit in percent. The best answer has 100.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answers {
    pub(crate) component: BTreeMap<String, u8>,
    pub(crate) kind: BTreeMap<String, u8>,
    pub(crate) cause: BTreeMap<String, u8>,
}

/// When the incident is over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recovery {
    /// Limit for the time from the claim until every objective is met again.
    #[serde(default = "default_steady_within")]
    pub(crate) steady_within_s: u64,
    /// Services that are restarted: the fix must survive it.
    #[serde(default = "default_restarts")]
    pub(crate) restart: Vec<String>,
    /// Restarts by the responder that cost no points.
    #[serde(default)]
    pub(crate) free_restarts: u32,
    /// Minutes from the page to the fix for full points.
    pub(crate) par_min: u32,
}

/// A hint and the points that it costs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hint {
    pub(crate) price: u32,
    pub(crate) text: String,
}

/// What a customer or a manager says during the incident.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    /// Seconds after the injection.
    pub(crate) after_s: u64,
    pub(crate) from: String,
    pub(crate) text: String,
}

/// The closed lists, in `loadtest/drills/answers.toml`: each value with its meaning.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerLists {
    pub(crate) component: BTreeMap<String, String>,
    pub(crate) kind: BTreeMap<String, String>,
    pub(crate) cause: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

fn default_warm_up() -> u64 {
    35
}

fn default_steady_within() -> u64 {
    180
}

fn default_restarts() -> Vec<String> {
    ["url-shortener", "orders", "email-consumer"].map(str::to_owned).to_vec()
}

impl Drill {
    /// Reads and checks one drill.
    pub(crate) fn read(checkout: &Checkout, name: &str) -> anyhow::Result<Self> {
        let dir = drills_dir(checkout).join(name);
        let path = dir.join("drill.toml");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("no drill {name}; `muster drill list` names the drills"))?;
        let file = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
        let drill = Self { name: name.to_owned(), dir, file };
        drill.check(&AnswerLists::read(checkout)?).with_context(|| format!("{}", path.display()))?;
        Ok(drill)
    }

    /// Reads every drill, sorted by name.
    pub(crate) fn all(checkout: &Checkout) -> anyhow::Result<Vec<Self>> {
        let dir = drills_dir(checkout);
        let entries = fs::read_dir(&dir).with_context(|| format!("{}", dir.display()))?;
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("drill.toml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.iter().map(|name| Self::read(checkout, name)).collect()
    }

    /// Fails, with the reason, if the drill does not run there.
    pub(crate) fn require(&self, place: Place) -> anyhow::Result<()> {
        if self.file.targets.contains(&place) {
            return Ok(());
        }
        match (place, &self.file.not_on_cluster) {
            (Place::Cluster, Some(reason)) => bail!("{} does not run on a cluster: {reason}", self.name),
            _ => bail!("{} runs on a cluster only: add `--target cluster`", self.name),
        }
    }

    /// The path of a script such as `inject`; `None` if this drill has none.
    pub(crate) fn script(&self, name: &str) -> Option<PathBuf> {
        Some(self.dir.join(name)).filter(|path| path.is_file())
    }

    /// The fixes that look right and are wrong, sorted by name.
    pub(crate) fn wrong_fixes(&self) -> anyhow::Result<Vec<PathBuf>> {
        let dir = self.dir.join("wrong");
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&dir).with_context(|| format!("{}", dir.display()))?;
        let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        Ok(paths)
    }

    /// The variables of the scripts for one seed. Equal seeds give equal values.
    pub(crate) fn draw(&self, seed: u64) -> BTreeMap<String, String> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let draw = |(name, values): (&String, &Vec<String>)| {
            (name.clone(), values[rng.random_range(0..values.len())].clone())
        };
        self.file.draw.iter().map(draw).collect()
    }

    /// Time of traffic before the fault.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs(self.file.warm_up_s)
    }

    fn check(&self, lists: &AnswerLists) -> anyhow::Result<()> {
        let file = &self.file;
        ensure!((1..=3).contains(&file.level), "level must be 1, 2 or 3");
        ensure!(
            file.targets.contains(&Place::Cluster) || file.not_on_cluster.is_some(),
            "not_on_cluster must say why the drill does not run on a cluster"
        );
        ensure!(
            !(file.targets.contains(&Place::Cluster) && file.not_on_cluster.is_some()),
            "not_on_cluster says why the drill does not run on a cluster, and targets that it does"
        );
        ensure!(file.draw.values().all(|values| !values.is_empty()), "each variable in draw needs a value");
        let shows =
            !file.alert.is_empty() || self.script("replay").is_some() || self.script("check").is_some();
        ensure!(
            !file.fault || shows,
            "a drill with a fault needs the alert that it causes, or a script replay or check"
        );
        check_answers("component", &file.answers.component, &lists.component)?;
        check_answers("kind", &file.answers.kind, &lists.kind)?;
        check_answers("cause", &file.answers.cause, &lists.cause)?;
        for name in ["inject", "revert", "fix.sh", "debrief.md"] {
            ensure!(self.dir.join(name).is_file(), "{name} is missing");
        }
        Ok(())
    }
}

impl AnswerLists {
    pub(crate) fn read(checkout: &Checkout) -> anyhow::Result<Self> {
        let path = drills_dir(checkout).join("answers.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{}", path.display()))
    }
}

fn check_answers(
    list: &str,
    accepted: &BTreeMap<String, u8>,
    known: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    if let Some(unknown) = accepted.keys().find(|answer| !known.contains_key(*answer)) {
        bail!("answers.{list}: {unknown} is not in answers.toml");
    }
    ensure!(accepted.values().max() == Some(&100), "answers.{list}: one answer must have the credit 100");
    Ok(())
}

fn drills_dir(checkout: &Checkout) -> PathBuf {
    checkout.root().join("loadtest/drills")
}

/// The text before every script: functions that the scripts share.
pub(crate) fn prelude(checkout: &Checkout) -> PathBuf {
    drills_dir(checkout).join("lib.sh")
}

/// Reads the reason with which a wrong fix must fail: its first line is `# fails: CHECK`.
pub(crate) fn expected_failure(script: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(script).with_context(|| format!("{}", script.display()))?;
    let first = text.lines().next().and_then(|line| line.strip_prefix("# fails: "));
    Ok(first
        .with_context(|| format!("{}: the first line must be `# fails: CHECK`", script.display()))?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drill_is_valid_and_three_seeds_change_its_target() {
        let drills = Drill::all(&Checkout::find().unwrap()).unwrap();
        assert!(drills.len() >= 2);
        for drill in drills {
            assert_eq!(
                drill.draw(1),
                drill.draw(1),
                "{}: a seed selects the same values each time",
                drill.name
            );
            let mut draws = [1, 2, 3].map(|seed| drill.draw(seed)).to_vec();
            draws.dedup();
            assert!(drill.file.draw.is_empty() || draws.len() > 1, "{}: {draws:?}", drill.name);
            for wrong in drill.wrong_fixes().unwrap() {
                expected_failure(&wrong).unwrap();
            }
        }
    }

    #[test]
    fn a_drill_is_refused_with_its_reason_where_it_does_not_run() {
        let mut drill = Drill::read(&Checkout::find().unwrap(), "bad-release").unwrap();
        drill.require(Place::Local).unwrap();
        let refusal = drill.require(Place::Cluster).unwrap_err().to_string();
        let reason = drill.file.not_on_cluster.clone().unwrap();
        assert_eq!(refusal, format!("bad-release does not run on a cluster: {reason}"));

        drill.file.targets = vec![Place::Cluster];
        drill.file.not_on_cluster = None;
        drill.require(Place::Cluster).unwrap();
        assert!(drill.require(Place::Local).unwrap_err().to_string().contains("--target cluster"));
    }

    #[test]
    fn an_answer_that_is_in_no_list_is_rejected() {
        let known = BTreeMap::from([("kafka".to_owned(), String::new())]);
        let check = |answer: &str, credit| {
            check_answers("component", &BTreeMap::from([(answer.to_owned(), credit)]), &known)
                .map_err(|e| e.to_string())
        };
        assert_eq!(check("kafka", 100), Ok(()));
        assert_eq!(check("kafak", 100).unwrap_err(), "answers.component: kafak is not in answers.toml");
        assert_eq!(check("kafka", 80).unwrap_err(), "answers.component: one answer must have the credit 100");
    }
}
