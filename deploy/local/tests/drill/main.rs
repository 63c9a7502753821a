//! Drill on a real stack, as `muster up` starts it: the rules use existing metrics, the commands of the runbooks work, and a dead service
//! causes one page.

#![expect(clippy::unwrap_used, reason = "test harness")]

mod names;
mod stack;

use std::{fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use testkit::wait_for;

use crate::stack::Stack;

const SOON: Duration = Duration::from_secs(90);

/// One stack for every check: a second would cost minutes and a gigabyte. The check that kills a service comes last.
#[tokio::test]
async fn rules_runbooks_releases_and_pager_work_on_a_real_stack() {
    let stack = Stack::up();
    // The plain demo places one order, and fails if a busy machine sheds it.
    stack.muster(&["demo", "--orders", "5"]);
    every_selector_of_a_rule_matches_a_metric(&stack).await;
    every_rule_evaluates(&stack).await;
    every_command_of_a_runbook_runs(&stack);
    a_release_is_deployed_kept_and_rolled_back(&stack).await;
    a_killed_runner_leaves_nothing_after_repair(&stack).await;
    a_dead_service_pages_once_and_silences_its_other_alerts(&stack).await;
}

fn files(dir: &str, ending: &str) -> Vec<PathBuf> {
    let dir = stack::repository().join(dir);
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
    files.sort();
    files
}

/// Every selector of a rule matches a recorded series or a metric of a service, with its labels. `le`, the threshold of a latency, is one
/// of these labels.
async fn every_selector_of_a_rule_matches_a_metric(stack: &Stack) {
    let mut known = Vec::new();
    for job in ["orders", "url-shortener", "email-consumer"] {
        known.extend(names::series(job, &stack.metrics(job).await));
    }
    let rules = ["production", "drill"]
        .iter()
        .flat_map(|profile| files(&format!("deploy/monitoring/rules/{profile}"), "yml"));
    let texts: Vec<String> = rules.map(|path| fs::read_to_string(path).unwrap()).collect();
    let texts = texts.concat();
    let recorded: Vec<_> = texts.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    let mut n_names = 0;
    for selector in names::selectors(&texts) {
        n_names += 1;
        let is_known = selector.name == "up"
            || recorded.contains(&selector.name.as_str())
            || known.iter().any(|series| selector.may_select(series));
        assert!(is_known, "{selector:?} selects no metric of a service");
    }
    assert!(n_names > 100, "only {n_names} names were found");
}

async fn every_rule_evaluates(stack: &Stack) {
    let url = format!("{}/api/v1/rules", stack.variable("PROMETHEUS_URL"));
    wait_for("all rules to be healthy", SOON, async || {
        let answer: Value = testkit::client().get(&url).send().await.ok()?.json().await.ok()?;
        let groups = answer["data"]["groups"].as_array()?;
        let health = |rule: &Value| rule["health"] == "ok";
        let healthy = groups.iter().all(|group| group["rules"].as_array().unwrap().iter().all(health));
        (groups.len() == 14 && healthy).then_some(())
    })
    .await;
}

fn every_command_of_a_runbook_runs(stack: &Stack) {
    let mut n_blocks = 0;
    let documents =
        files("docs/runbooks", "md").into_iter().chain([stack::repository().join("docs/oncall.md")]);
    for path in documents {
        let text = fs::read_to_string(&path).unwrap();
        for block in monitoring::runbook::blocks(&text).iter().filter(|block| block.place == "local") {
            n_blocks += 1;
            let output = stack.shell(&block.commands);
            // Every command writes to standard output, if only `none`, and not to standard error.
            let is_quiet = output.stdout.is_empty() && !block.commands.starts_with("eval");
            assert!(
                output.status.success() && output.stderr.is_empty() && !is_quiet,
                "{}, {}:\n{}\n{}{}",
                path.display(),
                block.heading,
                block.commands,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    assert!(n_blocks > 30, "only {n_blocks} blocks were found");
}

async fn a_release_is_deployed_kept_and_rolled_back(stack: &Stack) {
    let shows = async |version: &str| {
        let metrics = stack.metrics("orders").await;
        assert!(
            metrics.contains(&format!("build_info{{service=\"orders\",version=\"{version}\"}} 1")),
            "{version}"
        );
    };
    stack.muster(&["deploy", "orders", "--release", "orders-2", "--set", "LOG_FORMAT=json"]);
    shows("orders-2").await;
    stack.muster(&["restart", "orders"]);
    shows("orders-2").await;

    let broken =
        stack.shell("target/debug/muster deploy orders --release orders-3 --set DATABASE_POOL_SIZE=none");
    let error = String::from_utf8_lossy(&broken.stderr);
    for expected in ["orders-3", "muster rollback orders", "DATABASE_POOL_SIZE", "The end of its log"] {
        assert!(!broken.status.success() && error.contains(expected), "{expected}: {error}");
    }
    let deploys = stack.muster(&["deploys"]);
    assert!(deploys.contains("LOG_FORMAT=json"), "{deploys}");
    stack.muster(&["rollback", "orders"]);
    shows("orders-2").await;
    stack.muster(&["rollback", "orders"]);
    shows(env!("CARGO_PKG_VERSION")).await;
}

async fn a_dead_service_pages_once_and_silences_its_other_alerts(stack: &Stack) {
    let is_ours = |event: &Value| event["service"] == "url-shortener";
    let before = stack.pages().iter().filter(|event| is_ours(event)).count();
    let events = || stack.pages().into_iter().filter(is_ours).skip(before).collect::<Vec<_>>();
    stack.muster(&["kill", "url-shortener"]);
    let page = wait_for("a page", SOON, async || events().into_iter().next()).await;
    assert_eq!(page["alert"], "TargetDown", "{page}");
    assert_eq!((&page["severity"], &page["status"]), (&"page".into(), &"firing".into()));
    let screen = stack.muster(&["pager"]);
    let (open, _) = screen.split_once("History").unwrap();
    assert!(open.contains("PAGE ─ TargetDown") && open.contains("docs/runbooks/TargetDown.md"), "{screen}");
    assert!(stack::repository().join(page["runbook"].as_str().unwrap()).is_file());
    for part in ["Impact: url-shortener is down", "Budget left: "] {
        assert!(page["description"].as_str().unwrap().contains(part), "{page}");
    }

    let alertmanager = stack.variable("ALERTMANAGER_URL");
    symptom_until(&alertmanager, Duration::from_hours(1)).await;
    wait_for("the symptom to be held back", SOON, async || {
        (symptoms(&alertmanager).await?[0]["status"]["state"] == "suppressed").then_some(())
    })
    .await;
    symptom_until(&alertmanager, Duration::ZERO).await;
    wait_for("the symptom to be over", SOON, async || {
        symptoms(&alertmanager).await?.as_array()?.is_empty().then_some(())
    })
    .await;

    stack.muster(&["up"]);
    wait_for("the end of the page", SOON, async || {
        events().iter().any(|event| event["status"] == "resolved").then_some(())
    })
    .await;
    let alerts: Vec<_> = events().iter().map(|event| event["alert"].clone()).collect();
    assert_eq!(alerts, ["TargetDown", "TargetDown"], "one page, its end, and nothing else");
    let screen = stack.muster(&["pager"]);
    assert!(!screen.contains("PAGE ─ TargetDown"), "it is not open any more:\n{screen}");
    let lines = |text: &str| screen.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("TargetDown of url-shortener, notified after"), 1, "{screen}");
    assert_eq!(lines("PAGE RESOLVED    TargetDown of url-shortener, it lasted"), 1, "{screen}");
}

/// A session of the drill `relay-stalled`, which holds a lock of the outbox.
const LEFT_OPEN: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = 'orders' AND state = 'idle in transaction'";

/// Kills the runner of a drill before, during and after its fault. `repair` undoes the fault, and the next drill can start.
async fn a_killed_runner_leaves_nothing_after_repair(stack: &Stack) {
    for point in ["drill.preparing", "drill.injecting", "drill.injected"] {
        let kill = format!("{point}=kill");
        stack.muster_with(("MUSTER_FAIL_POINTS", &kill), &["drill", "start", "relay-stalled", "--seed", "1"]);
        wait_for("the end of the runner", Duration::from_mins(4), async || {
            stack.muster(&["drill", "status"]).contains("The runner has died").then_some(())
        })
        .await;
        let (started, output) =
            stack.muster_with(("MUSTER_FAIL_POINTS", ""), &["drill", "start", "poison-pill"]);
        assert!(!started && output.contains("muster drill repair"), "{point}: {output}");
        if point == "drill.injected" {
            assert_eq!(stack.sql("orders", LEFT_OPEN), "1", "the fault is there until it is repaired");
        }
        stack.muster(&["drill", "repair"]);
        assert_eq!(stack.sql("orders", LEFT_OPEN), "0", "{point}");
    }
}

/// Posts the alert that Prometheus would send, had the service had the symptom before its end.
async fn symptom_until(alertmanager: &str, lasting: Duration) {
    let labels = json!({
        "alertname": "RedirectsLatencyBurn",
        "service": "url-shortener",
        "severity": "page",
        "slo": "redirects-latency",
    });
    let ends_at = (chrono::Utc::now() + lasting).to_rfc3339();
    let alerts = json!([{ "labels": labels, "endsAt": ends_at }]);
    let url = format!("{alertmanager}/api/v2/alerts");
    let answer = testkit::client().post(url).json(&alerts).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

async fn symptoms(alertmanager: &str) -> Option<Value> {
    let url = format!("{alertmanager}/api/v2/alerts?filter=alertname=RedirectsLatencyBurn");
    testkit::client().get(url).send().await.ok()?.json().await.ok()
}
