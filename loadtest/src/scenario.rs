//! Scenario of a load test, from a TOML file: phases, operations, thresholds.

mod check;

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use derive_more::Display;
use serde::Deserialize;
use toml::Spanned;

use crate::{
    connections::Limits,
    schedule::{Phase, Shape},
};

/// A checked scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without its extension.
    pub name: String,
    pub(crate) about: String,
    /// The seed of all random choices: the same seed gives the same requests at the same times.
    pub(crate) seed: u64,
    /// What to create before the first phase.
    pub(crate) prepare: Prepare,
    /// The limits of the generator, for each service.
    pub(crate) limits: Limits,
    /// The run fails when the 99th percentile of the generator's scheduling lag is above this.
    pub(crate) scheduling_lag_p99: Duration,
    /// An order, mail or event is missing after this time without progress.
    pub settling: Duration,
    /// The phases, in order.
    pub phases: Vec<Phase>,
    /// The operations.
    pub operations: Vec<Operation>,
    /// The conditions to pass.
    pub thresholds: Vec<Threshold>,
}

/// What a run needs before its first request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prepare {
    /// Number of links, for redirects.
    pub links: u32,
    /// Number of orders, for reads.
    pub orders: u32,
}

/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[display(rename_all = "snake_case")]
pub enum Kind {
    /// `GET /{code}` of an existing link.
    Redirect,
    /// `GET /v1/orders/{id}` of an existing order.
    ReadOrder,
    /// `POST /v1/orders`.
    PlaceOrder,
}

/// One operation of the mix.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The kind.
    pub kind: Kind,
    /// Its share of the arrivals, relative to the shares of the other operations.
    pub share: f64,
    /// The expected statuses.
    pub expect: Vec<u16>,
    /// The share of its arrivals that repeat an earlier request with the same idempotency key.
    #[serde(default)]
    pub repeat: f64,
    /// Maximum number of retries of one request.
    #[serde(default)]
    pub retries: u32,
}

/// What a threshold limits: latencies in milliseconds, and ratios over all arrivals. `Display` is its name in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    #[display("p50")]
    P50Ms,
    #[display("p99")]
    P99Ms,
    #[display("p99.9")]
    P999Ms,
    /// Failed arrivals, timeouts included.
    #[display("error ratio")]
    ErrorRatio,
    #[display("dropped arrivals")]
    DroppedRatio,
    /// 99th percentile of the time from an order's intended start to its mail, in milliseconds.
    #[display("p99 of order to mail")]
    MailP99Ms,
}

/// A condition to pass.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Default: all operations together.
    pub(crate) operation: Option<Kind>,
    pub(crate) measure: Measure,
    pub(crate) at_most: f64,
}

/// The TOML file, with the position of each part.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    prepare: Prepare,
    limits: Option<Spanned<LimitsFile>>,
    phase: Vec<Spanned<Phase>>,
    operation: Vec<Spanned<Operation>>,
    #[serde(default)]
    threshold: Vec<Spanned<Threshold>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsFile {
    /// For each service.
    connections: usize,
    waiting: usize,
    slot_timeout_ms: u64,
    request_timeout_ms: u64,
    #[serde(rename = "lateness_p99_ms")]
    scheduling_lag_p99_ms: u64,
    settling_s: u64,
}

impl Default for LimitsFile {
    fn default() -> Self {
        Self {
            connections: 64,
            waiting: 10_000,
            slot_timeout_ms: 1_000,
            request_timeout_ms: 5_000,
            scheduling_lag_p99_ms: 10,
            settling_s: 60,
        }
    }
}

impl Scenario {
    /// Reads and validates a file. An error names the line, the problem and a correction.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the scenario {} cannot be read", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text).with_context(|| format!("{}", path.display()))
    }

    /// Parses and validates the text of a file.
    pub fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text)
            .map_err(|error| check::invalid(text, error.span().unwrap_or(0..0), error.message()))?;
        check::check(&file, text)?;
        let limits = file.limits.map(Spanned::into_inner).unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            about: file.about,
            seed: file.seed,
            prepare: file.prepare,
            limits: Limits {
                connections: limits.connections,
                waiting: limits.waiting,
                slot_timeout: Duration::from_millis(limits.slot_timeout_ms),
                request_timeout: Duration::from_millis(limits.request_timeout_ms),
            },
            scheduling_lag_p99: Duration::from_millis(limits.scheduling_lag_p99_ms),
            settling: Duration::from_secs(limits.settling_s),
            phases: file.phase.into_iter().map(Spanned::into_inner).collect(),
            operations: file.operation.into_iter().map(Spanned::into_inner).collect(),
            thresholds: file.threshold.into_iter().map(Spanned::into_inner).collect(),
        })
    }

    /// Scales the counted phases to this total duration.
    pub fn set_duration(&mut self, duration: Duration) {
        let factor = duration.as_secs_f64() / self.counted_s();
        for phase in self.phases.iter_mut().filter(|phase| phase.counted) {
            phase.duration = phase.duration.mul_f64(factor);
        }
    }

    /// Scales every rate, so that the counted phases have this mean rate. Bursts keep their size, so it fails when their rate alone is
    /// higher.
    pub fn set_rate(&mut self, rate: f64) -> anyhow::Result<()> {
        let bursts = self.mean(Shape::burst_rate);
        ensure!(
            rate > bursts,
            "a rate of {rate}/s is not possible: the bursts of {} alone make {bursts:.1}/s",
            self.name
        );
        let factor = (rate - bursts) / self.mean(Shape::regular_rate);
        for phase in &mut self.phases {
            phase.shape = phase.shape.scaled(factor);
        }
        Ok(())
    }

    /// Replaces all phases by a warm-up and a Poisson process with one rate.
    pub fn set_steady(&mut self, rate: f64, warm_up: Duration, duration: Duration) {
        let phase =
            |name: &str, duration, shape, counted| Phase { name: name.to_owned(), duration, shape, counted };
        self.phases = vec![
            phase("warm-up", warm_up, Shape::Constant { rate }, false),
            phase("steady", duration, Shape::Poisson { rate }, true),
        ];
    }

    /// Returns the mean rate of the counted phases, in requests per second.
    pub fn mean_rate(&self) -> f64 {
        self.mean(Shape::mean_rate)
    }

    fn mean(&self, rate: fn(Shape) -> f64) -> f64 {
        let counted = self.phases.iter().filter(|phase| phase.counted);
        counted.map(|phase| rate(phase.shape) * phase.duration.as_secs_f64()).sum::<f64>() / self.counted_s()
    }

    /// The duration of the counted phases in seconds.
    pub(crate) fn counted_s(&self) -> f64 {
        let counted = self.phases.iter().filter(|phase| phase.counted);
        counted.map(|phase| phase.duration.as_secs_f64()).sum()
    }
}

impl Measure {
    /// A value of this measure with its unit.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::P50Ms | Self::P99Ms | Self::P999Ms | Self::MailP99Ms => format!("{value:.2} ms"),
            Self::ErrorRatio | Self::DroppedRatio => format!("{:.3} %", value * 100.0),
        }
    }
}
