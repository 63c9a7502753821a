//! The rules as Prometheus and Alertmanager see them: checked and tested with their own tools.

#![expect(clippy::unwrap_used, reason = "test harness")]

mod alertmanager;
mod cause_alerts;
mod certificates;
mod clocks;
mod consumers;
mod drain;
mod generated;
mod missed_scrapes;
mod objectives;
mod pace;
mod promtool;
mod resources;
mod runbooks;
mod slo_alerts;
mod sources;
mod waiting;
