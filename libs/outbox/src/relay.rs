//! The relay as the service sees it: it runs in every replica, and one of them is active.

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex},
    time::Duration,
};

use events::Kafka;
use pg::{Columns as _, Pool};
use rdkafka::error::KafkaError;
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{leader::Leader, metrics, publisher::Publisher, session::Session};

/// How often a standby tries to become the active relay.
const STANDBY: Duration = Duration::from_secs(1);

/// How often what waits is measured.
const MEASURE: Duration = Duration::from_secs(1);

/// Longest pause before the relay begins again after a failure.
const MAX_PAUSE_MS: u64 = 2_000;

/// Longer than the end of a term can take: ends a relay that hangs in spite of its timeouts, without cutting one that works.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// What waits for a broker and what waits for a person. By the clock of the database alone, whatever the writers' clocks say.
const WAITING: &str = "\
SELECT coalesce((
        SELECT extract(epoch FROM clock_timestamp() - inserted_at) FROM outbox
        WHERE (topic, key) NOT IN (SELECT topic, key FROM outbox_parked) ORDER BY seq LIMIT 1), 0)::float8 AS oldest,
    (SELECT count(*) FROM outbox_parked) AS parked";

/// Why a term of the relay ended.
#[derive(Debug, Error)]
pub(crate) enum RelayError {
    #[error("the outbox cannot be read")]
    Database(#[from] pg::Error),
    #[error("there is no producer")]
    Kafka(#[from] KafkaError),
    #[error("another relay has the lead")]
    LeadLost,
}

/// Tells the relay of this process that a transaction with events was committed. Clones wake the same relay.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Call after COMMIT. Missing a call costs a poll interval, nothing else.
    pub fn notify(&self) {
        self.0.notify_one();
    }
}

/// Publishes the outbox of one database. Every replica runs one; one of them is active.
pub struct Relay {
    pool: Pool,
    kafka: Kafka,
    wake: Wake,
    state: Mutex<State>,
}

/// What the relay is about, for [`Relay::ping`].
#[derive(Clone, Default)]
pub(crate) enum State {
    /// Another relay publishes.
    #[default]
    Standby,
    /// Publishes through this producer.
    Active(Arc<Publisher>),
    /// Failed, and is about to begin again.
    Failed(String),
}

impl Relay {
    /// Makes a relay; it does nothing before [`run`](Self::run).
    pub fn new(pool: Pool, kafka: Kafka) -> Arc<Self> {
        metrics::show();
        Arc::new(Self { pool, kafka, wake: Wake::default(), state: Mutex::default() })
    }

    /// What wakes this relay.
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Runs until `stop`. Failures are logged, counted and followed by a pause; what is not published stays a row.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let publish = async {
            while let Err(error) = self.lead(&stop).await {
                metrics::FAILURES.inc();
                tracing::warn!(error = &error as &dyn StdError, "outbox relay failed, beginning again");
                let pause = Duration::from_millis(rand::random_range(100..=MAX_PAUSE_MS));
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        };
        let give_up = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_TIMEOUT).await;
        };
        tokio::select! {
            () = publish => {}
            () = self.measure() => {}
            () = give_up => {}
        }
    }

    /// Becomes the active relay and publishes until `stop` or the first failure.
    async fn lead(&self, stop: &CancellationToken) -> Result<(), RelayError> {
        let Some(session) = self.wait_for_lead(stop).await? else { return Ok(()) };
        let mut leader = Leader::new(self, session)?;
        tracing::info!("outbox relay is active");
        let result = leader.run(stop).await;
        self.set_state(match &result {
            Err(RelayError::Kafka(error)) => State::Failed(error.to_string()),
            Ok(()) | Err(_) => State::Standby,
        });
        leader.dismiss();
        result
    }

    async fn wait_for_lead(&self, stop: &CancellationToken) -> Result<Option<Session>, RelayError> {
        let mut session = Session::open(&self.pool).await?;
        let mut is_locked = false;
        loop {
            is_locked = is_locked || session.try_lock().await?;
            if is_locked && session.try_lead().await? {
                return Ok(Some(session));
            }
            self.set_state(State::Standby);
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(STANDBY) => {}
            }
        }
    }

    async fn measure(&self) {
        loop {
            let waiting = pg::query_opt(&self.pool, "outbox_waiting", WAITING, &[]).await;
            if let Ok(Some(row)) = waiting
                && let (Ok(oldest), Ok(parked)) = (row.column("oldest"), row.column("parked"))
            {
                metrics::OLDEST_UNPUBLISHED.set(oldest);
                metrics::PARKED_ROWS.set(parked);
            }
            tokio::time::sleep(MEASURE).await;
        }
    }

    /// The readiness check: whether a broker answers. A standby relay has no producer and reports nothing.
    pub async fn ping(&self, timeout: Duration) -> Result<(), String> {
        let state = self.state.lock().expect("no panic under this lock").clone();
        let publisher = match state {
            State::Standby => return Ok(()),
            State::Failed(reason) => return Err(reason),
            State::Active(publisher) => publisher,
        };
        // librdkafka's metadata call blocks its thread.
        match tokio::task::spawn_blocking(move || publisher.ping(timeout)).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// Ends when somebody has called the relay.
    pub(crate) async fn woken(&self) {
        self.wake.0.notified().await;
    }

    pub(crate) fn set_state(&self, state: State) {
        *self.state.lock().expect("no panic under this lock") = state;
    }
}
