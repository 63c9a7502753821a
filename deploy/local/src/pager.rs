//! A pager for one machine: a webhook receiver for Alertmanager that keeps alerts in a file, and `muster pager`, which shows them.
//!
//! The file is bounded: a full file replaces the previous one, and the next file begins with the open alerts.

mod acknowledge;
mod events;
mod receiver;
mod reconcile;
mod report;
mod screen;

pub(crate) use acknowledge::{FiredAlert, acknowledge, acknowledged_since, fired_since, review};
pub(crate) use receiver::{Settings, serve};
pub(crate) use report::{Args as ReportArgs, report};
pub(crate) use screen::show;
