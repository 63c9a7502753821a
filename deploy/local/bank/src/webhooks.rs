//! The worker that delivers webhooks: at least once, with pauses between the attempts, until the budget of the instruction is used up.
//!
//! The webhooks of one instruction are delivered one after another, those of many instructions at the same time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, stream::FuturesUnordered};
use reqwest::{Client, header::CONTENT_TYPE, redirect};
use serde::Serialize;
use tls::Trust;
use tokio_util::sync::CancellationToken;
use webhook::Keys;

use crate::{
    body::InstructionBody,
    book::{Book, Due},
    domain::{self, Decision, Identifier, Notice, Reason},
    metrics,
};

/// Attempts at the same time.
const MAX_IN_FLIGHT: usize = 64;

/// Time for a receiver to acknowledge.
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause after the first failed attempt. Each later one is twice as long, up to the longest.
const FIRST_PAUSE_MS: u64 = 500;
const LONGEST_PAUSE_MS: u64 = 60_000;

/// Sends webhooks.
pub(crate) struct Webhooks {
    keys: Keys,
    budget: TimeDelta,
    http: Client,
}

/// The payload, as Standard Webhooks recommends it.
#[derive(Serialize)]
struct Payload {
    r#type: &'static str,
    /// When it happened.
    timestamp: DateTime<Utc>,
    data: InstructionBody,
}

impl Webhooks {
    /// An instruction's webhooks are abandoned when they are not delivered within the budget.
    pub(crate) fn new(keys: Keys, budget: Duration, trust: &Trust) -> anyhow::Result<Self> {
        let http = trust
            .http()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { keys, budget: TimeDelta::from_std(budget)?, http })
    }

    /// Delivers until it is stopped, and finishes the attempts under way.
    pub(crate) async fn run(&self, book: &Book, stop: CancellationToken) -> anyhow::Result<()> {
        let mut attempts = FuturesUnordered::new();
        while !stop.is_cancelled() {
            while attempts.len() < MAX_IN_FLIGHT
                && let Some(due) = book.take_webhook()
            {
                attempts.push(self.attempt(book, due));
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(finished) = attempts.next() => finished?,
                () = book.webhook_is_due(), if attempts.len() < MAX_IN_FLIGHT => {}
            }
        }
        while let Some(finished) = attempts.next().await {
            finished?;
        }
        Ok(())
    }

    async fn attempt(&self, book: &Book, due: Due) -> anyhow::Result<()> {
        let (n_failed, decided_at, id) = (due.n_failed, due.decided_at, due.case.acceptance.id.clone());
        let kind = misbehaviour(&due);
        // No receiver knows of a decision that a crash could undo.
        book.synced().await?;
        if self.send(due).await? {
            fail_point::hit("webhooks.acknowledged");
            metrics::WEBHOOKS.with_label_values(&["delivered"]).inc();
            kind.inspect(|kind| metrics::MISBEHAVIOUR.with_label_values(&[kind]).inc());
            return book.deliver(id).await;
        }
        metrics::WEBHOOKS.with_label_values(&["failed"]).inc();
        let again_at = Utc::now() + pause(&id, n_failed);
        if again_at < decided_at + self.budget {
            return book.retry(&id, again_at);
        }
        metrics::WEBHOOKS.with_label_values(&["abandoned"]).inc();
        tracing::warn!(%id, attempts = n_failed + 1, "the budget of the webhooks is used up");
        book.abandon(id).await
    }

    /// Sends a webhook, and returns whether the receiver has acknowledged it.
    async fn send(&self, due: Due) -> anyhow::Result<bool> {
        let Some(url) = due.case.acceptance.terms.webhook_url.clone() else { return Ok(true) };
        let id = webhook_id(&due);
        let body = serde_json::to_vec(&payload(due))?;
        let mut request = self.http.post(url.as_str()).header(CONTENT_TYPE, "application/json");
        for (name, value) in self.keys.sign(&id, Utc::now(), &body) {
            request = request.header(name, value);
        }
        match request.body(body).send().await {
            Ok(response) if response.status().is_success() => Ok(true),
            Ok(response) => {
                tracing::info!(
                    webhook = id,
                    status = response.status().as_u16(),
                    "a webhook is not acknowledged"
                );
                Ok(false)
            }
            Err(error) => {
                // A URL can contain a secret of its receiver.
                let error = error.without_url();
                tracing::info!(webhook = id, %error, "a webhook cannot be delivered");
                Ok(false)
            }
        }
    }
}

/// Returns the kind of misbehaviour that a webhook is.
fn misbehaviour(due: &Due) -> Option<&'static str> {
    match due.notice {
        _ if due.is_repeated => Some("twice"),
        Notice::Decision => None,
        Notice::Contradiction => Some("contradictory"),
        Notice::Acceptance => Some("out_of_order"),
    }
}

/// A webhook that is delivered twice has the same id both times.
fn webhook_id(due: &Due) -> String {
    let about = match due.notice {
        Notice::Decision | Notice::Contradiction => "decision",
        Notice::Acceptance => "acceptance",
    };
    format!("{}_{about}", due.case.acceptance.id)
}

fn payload(due: Due) -> Payload {
    let Due { case, notice, decided_at, .. } = due;
    let accepted_at = case.acceptance.at;
    let (timestamp, data) = match notice {
        Notice::Decision => (decided_at, InstructionBody::new(case)),
        Notice::Contradiction => {
            let lie = Some(Decision::Refused(Reason::SuspectedFraud));
            (decided_at, InstructionBody::with(case, lie, Some(decided_at)))
        }
        Notice::Acceptance => (accepted_at, InstructionBody::with(case, None, None)),
    };
    Payload { r#type: data.status.event(), timestamp, data }
}

/// The pause after a number of failed attempts: between half of the longest one for this number and all of it.
fn pause(id: &Identifier, n_failed: u32) -> TimeDelta {
    let longest = FIRST_PAUSE_MS.saturating_mul(1 << n_failed.min(16)).min(LONGEST_PAUSE_MS);
    let half = longest / 2;
    // The draw of another attempt is another one, so that receivers do not get the webhooks of an outage all at once.
    let jitter = domain::draw(n_failed, id, "pause") % (half + 1);
    TimeDelta::milliseconds(i64::try_from(half + jitter).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_differ() {
        let ids: Vec<Identifier> = (0..50).map(|n| format!("t-{n}").parse().unwrap()).collect();
        let pauses = |n_failed| -> std::collections::BTreeSet<_> {
            ids.iter().map(|id| pause(id, n_failed).num_milliseconds()).collect()
        };
        for (n_failed, longest) in
            [(0, 500), (1, 1_000), (2, 2_000), (6, 32_000), (7, 60_000), (u32::MAX, 60_000)]
        {
            let pauses = pauses(n_failed);
            assert!(
                pauses.iter().all(|pause| (longest / 2..=longest).contains(pause)),
                "{n_failed}: {pauses:?}"
            );
            assert!(pauses.len() > 10, "{n_failed}: {pauses:?}");
        }
    }
}
