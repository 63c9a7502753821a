//! Alertmanager's configuration, asked with its own tool.

use std::process::Command;

use crate::{pace::Pace, sources::monitoring};

/// Runs amtool; it comes with the Debian package `prometheus-alertmanager`, which `make setup` installs.
fn amtool(args: &[&str]) -> String {
    let output = Command::new("amtool").args(args).output().expect("amtool is installed by `make setup`");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "amtool {args:?}:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn config(pace: Pace) -> String {
    let path = monitoring().join("alertmanager").join(format!("{}.yml", pace.name()));
    path.to_str().unwrap().to_owned()
}

#[test]
fn amtool_accepts_both_configurations() {
    for pace in Pace::BOTH {
        amtool(&["check-config", &config(pace)]);
    }
}

#[test]
fn pages_go_to_the_pager_and_the_rest_to_tickets() {
    for pace in Pace::BOTH {
        let config = format!("--config.file={}", config(pace));
        for (labels, receiver) in [
            (&["severity=page", "alertname=OrdersLatencyBurn", "service=orders"][..], "pager"),
            (&["severity=ticket", "alertname=OrdersLatencyBurn", "service=orders"], "tickets"),
            (&["severity=none", "alertname=Watchdog"], "pager"),
            (&["alertname=WithoutSeverity"], "tickets"),
        ] {
            let args = [&["config", "routes", "test", &config], labels].concat();
            assert_eq!(amtool(&args).trim(), receiver, "{labels:?}");
        }
    }
}
