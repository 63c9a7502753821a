//! The relay of a service: each replica runs one, and they share the buckets.

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use events::Kafka;
use pg::Pool;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    backlog::{self, Backlog},
    maintenance, metrics,
    sender::{Inputs, State},
    session::Session,
    term::{RelayError, Term},
};

/// Interval of reads without a wake-up: for rows whose writer did not call `notify_one`.
const POLL: Duration = Duration::from_millis(200);

/// Interval of attempts while a relay of the previous release is active.
const WAIT: Duration = Duration::from_secs(1);

/// Pauses after failed terms: from 100 ms to 2 s, jitter included; from the start again after a term of [`RESET_AFTER`].
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(1))
    .without_max_times()
    .with_jitter();

const RESET_AFTER: Duration = Duration::from_secs(10);

/// Time limit of the shutdown: longer than the end of a term can take, so it ends only a relay that hangs.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Publishes the outbox of one database, with the relays of the other replicas.
pub struct Relay {
    pool: Pool,
    inputs: Inputs,
    backlog: watch::Sender<Option<Backlog>>,
}

impl Relay {
    /// Makes a relay; it does nothing before [`run`](Self::run).
    pub fn new(pool: Pool, kafka: Kafka) -> Arc<Self> {
        Self::with_poll_interval(pool, kafka, POLL)
    }

    /// The same, with this interval between two reads without a wake-up instead of 200 ms.
    pub fn with_poll_interval(pool: Pool, kafka: Kafka, poll: Duration) -> Arc<Self> {
        metrics::show();
        let inputs =
            Inputs { kafka, wake: Arc::default(), notified: Arc::default(), poll, state: Mutex::default() };
        Arc::new(Self { pool, inputs, backlog: watch::Sender::default() })
    }

    /// Wakes this relay: call `notify_one` after COMMIT. A missed call costs one poll interval.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.inputs.wake)
    }

    /// Runs until `stop`. Failures are logged, counted and followed by a pause; unpublished rows stay in the table.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let publish = async {
            let (mut pauses, mut started) = (BACKOFF.build(), Instant::now());
            while let Err(error) = self.publish(&stop).await {
                metrics::FAILURES.inc();
                tracing::warn!(error = &error as &dyn StdError, "outbox relay failed, trying again");
                if started.elapsed() > RESET_AFTER {
                    pauses = BACKOFF.build();
                }
                let pause = pauses.next().unwrap_or_default();
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                started = Instant::now();
            }
        };
        let give_up = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_TIMEOUT).await;
        };
        tokio::select! {
            () = publish => {}
            () = backlog::measure(&self.pool, &self.backlog) => {}
            () = maintenance::run(&self.pool) => {}
            () = give_up => {}
        }
    }

    /// Publishes until `stop` or the first failure.
    async fn publish(&self, stop: &CancellationToken) -> Result<(), RelayError> {
        let Some(session) = self.open_session(stop).await? else { return Ok(()) };
        let mut term = Term::new(&self.inputs, session)?;
        tracing::info!("outbox relay is active");
        let result = term.run(stop).await;
        self.inputs.set_state(match &result {
            Err(RelayError::Kafka(error)) => State::Failed(error.to_string()),
            Ok(()) | Err(_) => State::Waiting,
        });
        term.close();
        result
    }

    async fn open_session(&self, stop: &CancellationToken) -> Result<Option<Session>, RelayError> {
        let session = Session::open(&self.pool, Arc::clone(&self.inputs.notified)).await?;
        while !session.try_lock().await? {
            self.inputs.set_state(State::Waiting);
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(WAIT) => {}
            }
        }
        Ok(Some(session))
    }

    /// The last measurement of what is not published; `None` before the first. It does not change while the database does not answer.
    pub fn backlog(&self) -> watch::Receiver<Option<Backlog>> {
        self.backlog.subscribe()
    }

    /// Readiness check: whether a broker answers. A relay that waits for its session has no producer and succeeds.
    pub async fn ping(&self, timeout: Duration) -> Result<(), String> {
        let state = self.inputs.state.lock().expect("no panic under this lock").clone();
        let publisher = match state {
            State::Waiting => return Ok(()),
            State::Failed(reason) => return Err(reason),
            State::Active(publisher) => publisher,
        };
        // librdkafka's metadata call blocks its thread.
        match tokio::task::spawn_blocking(move || publisher.ping(timeout)).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}
