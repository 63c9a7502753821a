//! The relay: reads rows, publishes them, deletes what the broker has.

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

use crate::{metrics, publisher::Publisher, session::Session};

/// How often rows are looked for when nobody says that there are some: those of other replicas, and of the past.
const POLL: Duration = Duration::from_millis(200);

/// How often a standby tries to become the active relay.
const STANDBY: Duration = Duration::from_secs(1);

/// How often the age of the oldest row is measured.
const MEASURE: Duration = Duration::from_secs(1);

/// Longest pause before the relay begins again after a failure.
const MAX_PAUSE_MS: u64 = 2_000;

/// By the clock of the database alone, whatever the writers' clocks say.
const AGE: &str = "\
SELECT extract(epoch FROM clock_timestamp() - inserted_at)::float8 FROM outbox ORDER BY seq LIMIT 1";

/// Why a run of the relay ended.
#[derive(Debug, Error)]
enum RelayError {
    #[error("the outbox cannot be read")]
    Database(#[from] pg::Error),
    #[error("the broker did not take an event")]
    Kafka(#[from] KafkaError),
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
enum State {
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
        tokio::select! {
            () = publish => {}
            () = self.measure() => {}
            () = stop_after_batch(&stop) => {}
        }
    }

    /// Becomes the active relay and publishes until `stop` or the first failure.
    async fn lead(&self, stop: &CancellationToken) -> Result<(), RelayError> {
        let Some(session) = self.wait_for_lead(stop).await? else { return Ok(()) };
        let publisher = Arc::new(Publisher::new(&self.kafka)?);
        self.set_state(State::Active(Arc::clone(&publisher)));
        tracing::info!("outbox relay is active");
        let result = self.publish_until(stop, &session, &publisher).await;
        self.set_state(match &result {
            Err(RelayError::Kafka(error)) => State::Failed(error.to_string()),
            Ok(()) | Err(RelayError::Database(_)) => State::Standby,
        });
        publisher.purge();
        // Whoever drops the last clone of a producer waits for its thread, which must not be a runtime worker.
        let dropped = tokio::task::spawn_blocking(move || drop(publisher)).await;
        if let Err(error) = dropped {
            tracing::warn!(error = &error as &dyn StdError, "the producer did not end cleanly");
        }
        result
    }

    async fn wait_for_lead(&self, stop: &CancellationToken) -> Result<Option<Session>, RelayError> {
        let session = Session::open(&self.pool).await?;
        while !session.try_lead().await? {
            self.set_state(State::Standby);
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(STANDBY) => {}
            }
        }
        Ok(Some(session))
    }

    async fn publish_until(
        &self,
        stop: &CancellationToken,
        session: &Session,
        publisher: &Publisher,
    ) -> Result<(), RelayError> {
        while !stop.is_cancelled() {
            let batch = session.next().await?;
            if batch.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.wake.0.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
                continue;
            }
            let (done, failure) = publisher.publish(&batch).await;
            fail_point::hit("outbox.published");
            session.delete(&done).await?;
            fail_point::hit("outbox.deleted");
            if let Some(error) = failure {
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn measure(&self) {
        loop {
            let age =
                pg::run_tx(&self.pool, "outbox_age", &(), |tx, ()| Box::pin(tx.query_opt(AGE, &[]))).await;
            let age = age.and_then(|row| row.map_or(Ok(0.0), |row| row.column(0)));
            if let Ok(age) = age {
                metrics::OLDEST_UNPUBLISHED.set(age);
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

    fn set_state(&self, state: State) {
        *self.state.lock().expect("no panic under this lock") = state;
    }
}

/// Longer than a batch can take: ends a relay that hangs in spite of its timeouts, without cutting one that works.
async fn stop_after_batch(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
}
