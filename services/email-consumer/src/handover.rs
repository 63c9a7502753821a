//! Sends a mail once: claims it, sends it, and records the outcome.
//!
//! Each handover runs in its own task. The handler of its event may be cancelled, by its timeout or because its partition is revoked; the
//! exchange continues under its own timeouts, and its outcome is recorded. Meanwhile, the lease prevents other processes from sending
//! the same mail.

mod refusals;

pub(crate) use refusals::Refusals;

use std::{future::Future, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use chrono::{DateTime, Utc};
use lettre::Message;
use pg::Pool;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::{
    error::Error,
    lease::Lease,
    metrics,
    smtp::{Connection, Mailer},
    store::{self, Claim, NewMail},
};

/// Pauses before the next attempt to record an outcome: from 50 ms to 2 s, jitter included.
const RECORD_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(Duration::from_secs(1))
    .without_max_times()
    .with_jitter();

/// Sends mails. Clones share their state.
#[derive(Clone)]
pub(crate) struct Handovers {
    pub(crate) pool: Pool,
    pub(crate) mailer: Arc<Mailer>,
    /// Length of a lease. A longer exchange renews it.
    pub(crate) lease: Duration,
    /// Maximum number of attempts without an answer.
    pub(crate) max_unknown: u32,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) running: TaskTracker,
}

/// A mail that is ready to be sent.
pub(crate) struct ReadyMail {
    pub(crate) mail: NewMail,
    pub(crate) message: Message,
    pub(crate) occurred_at: DateTime<Utc>,
    /// How often its event was replayed from the dead letters. Each replay allows the maximum number of attempts again.
    pub(crate) replays: u32,
}

impl Handovers {
    /// Sends the mail and records that. Returns `false` if it was sent before.
    pub(crate) async fn run(&self, ready: ReadyMail, connection: Connection) -> Result<bool, Error> {
        let this = self.clone();
        let handover = async move { this.hand_over(ready, connection).await }.in_current_span();
        self.running.spawn(handover).await.unwrap_or(Err(Error::Interrupted))
    }

    /// Waits for the exchanges in progress.
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
        metrics::LEASES_HELD.inc();
        let _held = scopeguard::guard((), |()| metrics::LEASES_HELD.dec());
        fail_point::hit("email.handing_over");
        let sending = self.mailer.send(connection, &ready.message, &lease);
        let sent = tokio::select! {
            biased;
            never = lease.keep_renewed(&self.pool) => match never {},
            sent = sending => sent,
        };
        match sent {
            Ok(()) => {
                self.refusals.sent(event_id);
                observe(&ready);
                fail_point::hit("email.sent");
                record(|| store::record_sent(&self.pool, event_id)).await;
                fail_point::hit("email.recorded");
                Ok(true)
            }
            Err(error) if error.is_unknown() => {
                metrics::UNKNOWN_OUTCOMES.inc();
                record(|| store::end_unknown(&self.pool, event_id, lease.fence)).await;
                Err(error.into())
            }
            Err(error) => {
                record(|| store::end_unsent(&self.pool, event_id, lease.fence)).await;
                Err(self.refusals.classify(event_id, error).into())
            }
        }
    }

    /// Claims the mail. Returns `None` if it was sent before.
    async fn claim(&self, ready: &ReadyMail) -> Result<Option<Lease>, Error> {
        let event_id = ready.mail.event_id;
        let allowed = self.max_unknown.saturating_mul(ready.replays.saturating_add(1));
        let allowed = i32::try_from(allowed).unwrap_or(i32::MAX);
        let claimed_at = std::time::Instant::now();
        match store::claim(&self.pool, &ready.mail, self.lease, allowed).await? {
            Claim::Claimed { handovers, fence } => {
                if handovers > 1 {
                    metrics::POSSIBLE_DUPLICATES.inc();
                    tracing::warn!(%event_id, handovers, "an earlier attempt may have been accepted, the mail may arrive twice");
                }
                Ok(Some(Lease::new(event_id, fence, self.lease, claimed_at)))
            }
            Claim::Sent => Ok(None),
            Claim::Held => {
                metrics::LEASE_WAITS.inc();
                Err(Error::Held)
            }
            Claim::Exhausted(handovers) => Err(Error::NoAnswers(handovers)),
        }
    }
}

/// Retries until the outcome is recorded, because an outage of the database must not lose it. During the outage, no other process can claim
/// the mail.
async fn record<F: Future<Output = Result<(), pg::Error>>>(write: impl Fn() -> F) {
    let recorded = write.retry(RECORD_BACKOFF).notify(|error, pause| {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            ?pause,
            "the outcome of a mail cannot be recorded, trying again"
        );
    });
    recorded.await.expect("the backoff has no end");
}

fn observe(ready: &ReadyMail) {
    let kind = ready.mail.kind;
    metrics::MAILS_SENT.with_label_values(&[kind]).inc();
    // The clock of the producer may be ahead; a delay is never negative.
    let delay = (Utc::now() - ready.occurred_at).to_std().unwrap_or_default();
    metrics::DELAY.with_label_values(&[kind]).observe(delay.as_secs_f64());
}
