//! From the claim to the record: the part of a mail's way that is not cut short from outside.
//!
//! It runs in a task of its own. Whoever waits for it may stop waiting, because its time is over or its partition is taken
//! away; the exchange goes on to its end under its own limits, and what is known of it is recorded. Meanwhile the lease
//! keeps every other process from handing the same mail over.

mod lease;
mod refusals;

pub(crate) use lease::Lease;
pub(crate) use refusals::Refusals;

use std::{future::Future, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use lettre::Message;
use pg::Pool;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::{
    error::Error,
    metrics,
    smtp::{Connection, Mailer},
    store::{self, Claim, NewMail},
};

/// The first and the longest pause before an outcome that was not recorded is written again.
const RECORD_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Hands mails over. Clones share it.
#[derive(Clone)]
pub(crate) struct Handovers {
    pub(crate) pool: Pool,
    pub(crate) mailer: Arc<Mailer>,
    /// For how long a mail is claimed; the lease of an exchange that takes longer is renewed.
    pub(crate) lease: Duration,
    /// How often a mail is handed over, at most, when no attempt gets an answer.
    pub(crate) max_unknown: u32,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) running: TaskTracker,
}

/// A mail that is ready to be handed over.
pub(crate) struct ReadyMail {
    pub(crate) mail: NewMail,
    pub(crate) message: Message,
    pub(crate) occurred_at: DateTime<Utc>,
    /// How often its event was replayed from the dead letters: each time allows as many attempts again.
    pub(crate) replays: u32,
}

impl Handovers {
    /// Returns when the SMTP server has the mail and that is recorded. Returns `false` when it was so before.
    pub(crate) async fn run(&self, ready: ReadyMail, connection: Connection) -> Result<bool, Error> {
        let this = self.clone();
        let handing_over = async move { this.hand_over(ready, connection).await }.in_current_span();
        self.running.spawn(handing_over).await.unwrap_or(Err(Error::Interrupted))
    }

    /// Waits for the exchanges that are under way.
    pub(crate) async fn finish(&self) {
        self.running.close();
        self.running.wait().await;
    }

    async fn hand_over(&self, ready: ReadyMail, connection: Connection) -> Result<bool, Error> {
        let event_id = ready.mail.event_id;
        let Some(lease) = self.claim(&ready).await? else {
            self.mailer.keep(connection);
            return Ok(false);
        };
        let _held = metrics::LeaseHeld::count();
        fail_point::hit("email.handing_over");
        let sending = self.mailer.send(connection, &ready.message, &lease);
        let sent = tokio::select! {
            biased;
            never = lease.keep(&self.pool) => match never {},
            sent = sending => sent,
        };
        match sent {
            Ok(()) => {
                self.refusals.sent(event_id);
                observe(&ready);
                fail_point::hit("email.sent");
                until_recorded(|| store::record_sent(&self.pool, event_id)).await;
                fail_point::hit("email.recorded");
                Ok(true)
            }
            Err(error) if error.is_unknown() => {
                metrics::UNKNOWN_OUTCOMES.inc();
                until_recorded(|| store::end_unknown(&self.pool, event_id, lease.fence())).await;
                Err(error.into())
            }
            Err(error) => {
                until_recorded(|| store::end_unsent(&self.pool, event_id, lease.fence())).await;
                Err(self.refusals.judge(event_id, error).into())
            }
        }
    }

    /// Claims the mail. Returns `None` when it was sent before.
    async fn claim(&self, ready: &ReadyMail) -> Result<Option<Lease>, Error> {
        let event_id = ready.mail.event_id;
        let allowed = self.max_unknown.saturating_mul(ready.replays.saturating_add(1));
        let allowed = i32::try_from(allowed).unwrap_or(i32::MAX);
        let begun = std::time::Instant::now();
        match store::claim(&self.pool, &ready.mail, self.lease, allowed).await? {
            Claim::Claimed { handovers, fence } => {
                if handovers > 1 {
                    metrics::POSSIBLE_DUPLICATES.inc();
                    tracing::warn!(%event_id, handovers, "the mail may have been accepted before, it may arrive twice");
                }
                Ok(Some(Lease::new(event_id, fence, self.lease, begun)))
            }
            Claim::Sent => {
                metrics::REPEATED.inc();
                Ok(None)
            }
            Claim::Held => {
                metrics::LEASE_WAITS.inc();
                Err(Error::Held)
            }
            Claim::Exhausted(handovers) => Err(Error::NoAnswers(handovers)),
        }
    }
}

/// Writes until it is written: what is known of a mail must not be lost to a database that is away. While it is away,
/// nobody else can claim the mail either.
async fn until_recorded<F: Future<Output = Result<(), pg::Error>>>(write: impl Fn() -> F) {
    let (mut pause, longest) = RECORD_PAUSES;
    while let Err(error) = write().await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            ?pause,
            "the outcome of a mail is not recorded, trying again"
        );
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(longest);
    }
}

fn observe(ready: &ReadyMail) {
    let kind = ready.mail.kind;
    metrics::MAILS_SENT.with_label_values(&[kind]).inc();
    // A producer whose clock is ahead makes no negative delay.
    let delay = (Utc::now() - ready.occurred_at).to_std().unwrap_or_default();
    metrics::DELAY.with_label_values(&[kind]).observe(delay.as_secs_f64());
}
