//! The relay: reads rows, publishes them, deletes what the broker has.

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex},
    time::Duration,
};

use events::KafkaConfig;
use pg::Pool;
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

/// The clock is the database's, which also stamped the rows of every replica.
const AGE: &str = "\
SELECT extract(epoch FROM clock_timestamp() - occurred_at)::float8 FROM outbox ORDER BY seq LIMIT 1";

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
    kafka: KafkaConfig,
    wake: Wake,
    /// The producer in use, for [`ping`](Self::ping).
    publisher: Mutex<Option<Arc<Publisher>>>,
}

impl Relay {
    /// Makes a relay; it does nothing before [`run`](Self::run).
    pub fn new(pool: Pool, kafka: KafkaConfig) -> Arc<Self> {
        Arc::new(Self { pool, kafka, wake: Wake::default(), publisher: Mutex::default() })
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
        self.set_publisher(Some(Arc::clone(&publisher)));
        tracing::info!("outbox relay is active");
        let result = self.publish_until(stop, &session, &publisher).await;
        self.set_publisher(None);
        result
    }

    async fn wait_for_lead(&self, stop: &CancellationToken) -> Result<Option<Session>, RelayError> {
        loop {
            if let Some(session) = Session::lead(&self.pool).await? {
                return Ok(Some(session));
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(STANDBY) => {}
            }
        }
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
            let (acknowledged, failure) = publisher.publish(&batch).await;
            fail_point::hit("outbox.published");
            let seqs: Vec<i64> = batch.iter().take(acknowledged).map(|row| row.seq).collect();
            session.delete(&seqs).await?;
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
            if let Ok(row) = age {
                metrics::OLDEST_UNPUBLISHED.set(row.map_or(0.0, |row| row.get(0)));
            }
            tokio::time::sleep(MEASURE).await;
        }
    }

    /// The readiness check: whether a broker answers. A standby relay has no producer and reports nothing.
    pub async fn ping(&self, timeout: Duration) -> Result<(), String> {
        let publisher = self.publisher.lock().expect("no panic under this lock").clone();
        let Some(publisher) = publisher else { return Ok(()) };
        // librdkafka's metadata call blocks its thread.
        match tokio::task::spawn_blocking(move || publisher.ping(timeout)).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn set_publisher(&self, publisher: Option<Arc<Publisher>>) {
        *self.publisher.lock().expect("no panic under this lock") = publisher;
    }
}

/// Longer than a batch can take: ends a relay that hangs in spite of its timeouts, without cutting one that works.
async fn stop_after_batch(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
}
