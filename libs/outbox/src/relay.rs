//! The relay of a service: each replica runs one, and they share the buckets.

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
    maintenance, metrics,
    sender::{Inputs, State},
    session::Session,
    term::{RelayError, Term},
};

/// Interval of attempts while a relay of the previous release is active.
const WAIT: Duration = Duration::from_secs(1);

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

/// The age of the oldest row that can be published, by the clock of the database, and the number of refused rows. The view
/// `outbox_unpublished` has the same rows, but this reads only the first one of each bucket.
const WAITING: &str = "\
SELECT coalesce(extract(epoch FROM clock_timestamp() - least(
        (SELECT min(first.inserted_at) FROM outbox_bucket b CROSS JOIN LATERAL (
            SELECT o.inserted_at FROM outbox o
            WHERE o.bucket = b.bucket AND o.seq > b.published_up_to
                AND NOT EXISTS (SELECT FROM outbox_parked p WHERE p.topic = o.topic AND p.key = o.key)
            ORDER BY o.seq LIMIT 1) first),
        (SELECT min(p.parked_at) FROM outbox_parked p WHERE NOT EXISTS (
            SELECT FROM outbox_parked r WHERE r.topic = p.topic AND r.key = p.key AND r.refused AND r.seq <= p.seq)))),
    0)::float8 AS oldest,
    (SELECT count(*) FROM outbox_parked WHERE refused) AS parked";

/// Publishes the outbox of one database, with the relays of the other replicas.
pub struct Relay {
    pool: Pool,
    inputs: Inputs,
}

impl Relay {
    /// Makes a relay; it does nothing before [`run`](Self::run).
    pub fn new(pool: Pool, kafka: Kafka) -> Arc<Self> {
        metrics::show();
        let inputs =
            Inputs { kafka, wake: Arc::default(), notified: Arc::default(), state: Mutex::default() };
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
            () = self.measure() => {}
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
