//! The scenarios of the crate, and the errors of invalid ones.

use std::{path::Path, process::Command, time::Duration};

use loadtest::{scenario::Scenario, schedule::Shape};

fn scenarios() -> impl Iterator<Item = std::path::PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path())
}

fn mix() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/mix.toml")).unwrap()
}

/// The error of the mix with one changed line.
fn error_of(old: &str, new: &str) -> String {
    assert!(mix().contains(old), "{old}");
    Scenario::parse("mix", &mix().replacen(old, new, 1)).unwrap_err().to_string()
}

#[test]
fn every_scenario_of_the_crate_is_valid() {
    let names: Vec<_> = scenarios().map(|path| Scenario::read(&path).unwrap().name).collect();
    for name in ["redirects", "orders", "mix", "mails"] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
}

#[test]
fn the_mix_has_the_documented_shares() {
    let mix = Scenario::parse("mix", &mix()).unwrap();
    let shares: Vec<_> = mix.operations.iter().map(|op| (op.kind.to_string(), op.share)).collect();
    let expected = [("redirect", 95.0), ("read_order", 4.0), ("place_order", 1.0)];
    assert_eq!(shares, expected.map(|(kind, share)| (kind.to_owned(), share)));
}

#[test]
fn rate_and_duration_can_be_overridden() {
    let mut mix = Scenario::parse("mix", &mix()).unwrap();
    mix.set_duration(Duration::from_secs(10));
    mix.set_rate(200.0).unwrap();
    let counted: Duration = mix.phases.iter().filter(|phase| phase.counted).map(|phase| phase.duration).sum();
    assert_eq!(counted, Duration::from_secs(10));
    assert!((mix.mean_rate() - 200.0).abs() < 1e-6);
}

/// The scenario with bursts.
fn orders() -> Scenario {
    Scenario::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/orders.toml")).unwrap()
}

#[test]
fn a_burst_keeps_its_size_at_every_rate() {
    let burst = |scenario: &Scenario| {
        let sizes = scenario.phases.iter().filter_map(|phase| match phase.shape {
            Shape::Burst { size, .. } => Some(size),
            Shape::Constant { .. } | Shape::Poisson { .. } | Shape::Staircase { .. } => None,
        });
        sizes.max().unwrap_or_default()
    };
    let size = burst(&orders());
    assert!(size > 1, "{size}");
    for rate in [10.0, 45.0, 287.0] {
        let mut scaled = orders();
        scaled.set_rate(rate).unwrap();
        assert_eq!(burst(&scaled), size, "at {rate}/s");
        assert!((scaled.mean_rate() - rate).abs() < 1e-6, "{}", scaled.mean_rate());
    }
}

#[test]
fn a_rate_below_that_of_the_bursts_is_rejected() {
    let error = orders().set_rate(1.0).unwrap_err().to_string();
    assert!(error.contains("the bursts of orders alone make"), "{error}");
}

#[test]
fn a_steady_run_keeps_operations_and_thresholds() {
    let mut steady = orders();
    steady.set_steady(80.0, Duration::from_secs(5), Duration::from_secs(20));
    assert!((steady.mean_rate() - 80.0).abs() < 1e-6, "{}", steady.mean_rate());
    assert_eq!(steady.phases.iter().map(|phase| phase.counted).collect::<Vec<_>>(), [false, true]);
    assert_eq!((steady.operations, steady.thresholds), (orders().operations, orders().thresholds));
}

#[test]
fn an_error_has_the_line_and_a_correction() {
    let cases = [
        ("share = 4", "share = 0", "line 24: share must be above 0"),
        ("rate = 500", "rate = -1", "line 14: rate of the arrivals must be above 0"),
        ("kind = \"read_order\"", "kind = \"raed_order\"", "line 25: unknown variant `raed_order`"),
        ("orders = 20", "", "line 24: reads need orders: set [prepare] orders = 20"),
        ("retries = 5", "retires = 5", "unknown field `retires`"),
        ("measure = \"error_ratio\"", "measure = \"mail_p99_ms\"", "mail_p99_ms is of orders"),
        ("duration_s = 60", "duration_s = 60\ncounted = false", "line 1: at least one phase must count"),
    ];
    for (old, new, expected) in cases {
        let error = error_of(old, new);
        assert!(error.contains(expected), "{new}: {error}");
    }
}

#[test]
fn bad_input_has_its_own_exit_code() {
    let loadtest = |args: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_loadtest")).args(args).env_remove("LOADTEST_TARGET").output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, error) = loadtest(&["run", "no-such-file.toml", "--target", "none.toml"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("no-such-file.toml"), "{error}");
    assert_eq!(loadtest(&["run", "x.toml", "--target", "y", "--rate", "fast"]).0, Some(2));
}
