//! Prometheus' own tool: checks rules, and runs them over made-up series.

use std::{fs, path::Path, process::Command, sync::LazyLock};

use serde_json::{Value, json};

use crate::{pace::Pace, sources::monitoring};

/// Rules, series and what is expected to fire when.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) pace: Pace,
    /// The rule file, without its ending.
    pub(crate) rules: &'static str,
    /// Minutes of production between two samples, and between two evaluations.
    pub(crate) step: u64,
    pub(crate) series: Vec<(String, Vec<Sample>)>,
    pub(crate) checks: Vec<Check>,
    /// Names and severities of the alerts that fire at a step.
    pub(crate) fires: Vec<(usize, &'static str, &'static str)>,
    /// Expressions without labels, and their values at a step.
    pub(crate) values: Vec<(usize, &'static str, f64)>,
}

/// One sample of a series, or its end.
#[derive(Clone, Copy)]
pub(crate) enum Sample {
    Value(f64),
    Stale,
}

/// The alerts of one name at one step.
pub(crate) struct Check {
    pub(crate) step: usize,
    pub(crate) alert: &'static str,
    pub(crate) firing: Vec<Firing>,
}

/// One alert with everything it has, but for its name.
#[derive(Clone)]
pub(crate) struct Firing {
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) summary: String,
    pub(crate) description: String,
}

/// Values from 0 on, one for each step.
pub(crate) fn values(values: impl IntoIterator<Item = f64>) -> Vec<Sample> {
    values.into_iter().map(Sample::Value).collect()
}

/// One value for all of many steps.
pub(crate) fn constant(value: f64, steps: usize) -> Vec<Sample> {
    vec![Sample::Value(value); steps]
}

impl Case {
    /// Runs it; fails with promtool's words.
    pub(crate) fn run(&self) {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("promtool");
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{}-{}.json", self.pace.name(), self.name));
        fs::write(&path, serde_json::to_string_pretty(&self.file()).unwrap()).unwrap();
        promtool(&["test", "rules", path.to_str().unwrap()]);
    }

    fn file(&self) -> Value {
        let step = self.step * self.pace.minute();
        let rules = monitoring().join("rules").join(self.pace.name()).join(format!("{}.yml", self.rules));
        let series: Vec<_> = self
            .series
            .iter()
            .map(|(series, samples)| json!({ "series": series, "values": notation(samples) }))
            .collect();
        let checks: Vec<_> = self.checks.iter().map(|check| check.json(step)).collect();
        let fires: Vec<_> = self
            .fires
            .iter()
            .map(|(at, alert, severity)| {
                let labels = format!("alertname=\"{alert}\", severity=\"{severity}\", alertstate=\"firing\"");
                json!({
                    "expr": format!("count(ALERTS{{{labels}}})"),
                    "eval_time": format!("{}s", step * u64::try_from(*at).unwrap()),
                    "exp_samples": [{ "labels": "{}", "value": 1 }],
                })
            })
            .collect();
        let queries = self.values.iter().map(|(at, expr, value)| {
            json!({
                "expr": expr,
                "eval_time": format!("{}s", step * u64::try_from(*at).unwrap()),
                "exp_samples": [{ "labels": "{}", "value": value }],
            })
        });
        let queries: Vec<_> = fires.into_iter().chain(queries).collect();
        // In the order of the file: promtool's own is another one each time.
        let text = fs::read_to_string(&rules).unwrap();
        let groups: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("- name: ")).collect();
        json!({
            "rule_files": [rules],
            "group_eval_order": groups,
            "evaluation_interval": format!("{step}s"),
            "tests": [{
                "name": self.name,
                "interval": format!("{step}s"),
                "input_series": series,
                "alert_rule_test": checks,
                "promql_expr_test": queries,
            }],
        })
    }
}

impl Check {
    fn json(&self, step: u64) -> Value {
        let firing: Vec<_> = self.firing.iter().map(|firing| firing.json(self.alert)).collect();
        let at = step * u64::try_from(self.step).unwrap();
        json!({ "eval_time": format!("{at}s"), "alertname": self.alert, "exp_alerts": firing })
    }
}

impl Firing {
    fn json(&self, alert: &str) -> Value {
        let labels: serde_json::Map<String, Value> =
            self.labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        json!({
            "exp_labels": labels,
            "exp_annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": format!("docs/runbooks/{alert}.md"),
            },
        })
    }
}

fn notation(samples: &[Sample]) -> String {
    let samples = samples.iter().map(|sample| match sample {
        Sample::Value(value) => value.to_string(),
        Sample::Stale => "stale".to_owned(),
    });
    samples.collect::<Vec<_>>().join(" ")
}

/// How many samples at the beginning of a window do not count: none in Prometheus 2, one in Prometheus 3 (its migration guide,
/// "Range selectors and lookback exclude samples coinciding with the left boundary").
pub(crate) fn left_out() -> u32 {
    static IS_2: LazyLock<bool> = LazyLock::new(|| {
        let output = Command::new("promtool").arg("--version").output().unwrap();
        String::from_utf8_lossy(&output.stdout).starts_with("promtool, version 2.")
    });
    u32::from(!*IS_2)
}

/// Runs promtool; it comes with the Debian package `prometheus`, which `make setup` installs.
fn promtool(args: &[&str]) {
    let output = Command::new("promtool").args(args).output().expect("promtool is installed by `make setup`");
    assert!(
        output.status.success(),
        "promtool {args:?}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn promtool_accepts_every_rule_file() {
    for pace in Pace::BOTH {
        for entry in fs::read_dir(monitoring().join("rules").join(pace.name())).unwrap() {
            promtool(&["check", "rules", "--lint-fatal", entry.unwrap().path().to_str().unwrap()]);
        }
    }
}
