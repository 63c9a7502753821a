//! The relay of a service: each replica runs one, and a lease selects the active one.

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use events::Kafka;
use pg::{Columns as _, Pool};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    leader::{Leader, RelayError},
    metrics,
    sender::{Inputs, State},
    session::Session,
};

/// Interval of a standby's attempts to acquire the lease.
const STANDBY: Duration = Duration::from_secs(1);

/// Interval of the measurement of waiting rows.
const MEASURE: Duration = Duration::from_secs(1);

/// Pauses after failed terms: from 100 ms to 2 s, jitter included; from the start again after a term of [`RESET_AFTER`].
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(1))
    .without_max_times()
    .with_jitter();

const RESET_AFTER: Duration = Duration::from_secs(10);

/// Time limit of the shutdown: longer than the end of a term can take, so it ends only a relay that hangs.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The age of the oldest row, by the clock of the database, and the number of parked rows.
const WAITING: &str = "\
SELECT coalesce((
        SELECT extract(epoch FROM clock_timestamp() - inserted_at) FROM outbox
        WHERE (topic, key) NOT IN (SELECT topic, key FROM outbox_parked) ORDER BY seq LIMIT 1), 0)::float8 AS oldest,
    (SELECT count(*) FROM outbox_parked) AS parked";

/// Publishes the outbox of one database. Every replica runs one; one of them is active.
pub struct Relay {
    pool: Pool,
    inputs: Inputs,
}

impl Relay {
    /// Makes a relay; it does nothing before [`run`](Self::run).
    pub fn new(pool: Pool, kafka: Kafka) -> Arc<Self> {
        metrics::show();
        let inputs = Inputs { kafka, wake: Arc::default(), state: Mutex::default() };
        Arc::new(Self { pool, inputs })
    }

    /// Wakes this relay: call `notify_one` after COMMIT. A missed call costs one poll interval of 200 ms.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.inputs.wake)
    }

    /// Runs until `stop`. Failures are logged, counted and followed by a pause; unpublished rows stay in the table.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let publish = async {
            let (mut pauses, mut started) = (BACKOFF.build(), Instant::now());
            while let Err(error) = self.lead(&stop).await {
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
            () = self.measure() => {}
            () = give_up => {}
        }
    }

    /// Acquires the lease and publishes until `stop` or the first failure.
    async fn lead(&self, stop: &CancellationToken) -> Result<(), RelayError> {
        let Some(session) = self.acquire_lease(stop).await? else { return Ok(()) };
        let mut leader = Leader::new(&self.inputs, session)?;
        tracing::info!("outbox relay is active");
        let result = leader.run(stop).await;
        self.inputs.set_state(match &result {
            Err(RelayError::Kafka(error)) => State::Failed(error.to_string()),
            Ok(()) | Err(_) => State::Standby,
        });
        leader.close();
        result
    }

    async fn acquire_lease(&self, stop: &CancellationToken) -> Result<Option<Session>, RelayError> {
        let mut session = Session::open(&self.pool).await?;
        let mut is_locked = false;
        loop {
            is_locked = is_locked || session.try_lock().await?;
            if is_locked && session.try_acquire().await? {
                return Ok(Some(session));
            }
            self.inputs.set_state(State::Standby);
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

    /// Readiness check: whether a broker answers. A standby relay has no producer and succeeds.
    pub async fn ping(&self, timeout: Duration) -> Result<(), String> {
        let state = self.inputs.state.lock().expect("no panic under this lock").clone();
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
}
