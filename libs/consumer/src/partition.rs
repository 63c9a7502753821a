//! One partition: a bounded queue, and a task that handles keys concurrently and the records of each key in order.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    budget::{Budget, HIGH_WATER},
    circuit::Pass,
    event::Record,
    order::{KeyQueues, Offsets},
};

/// The queue's size. No record arrives after a pause, so one more than [`HIGH_WATER`] is enough.
const CAPACITY: usize = 2 * HIGH_WATER;

/// Attempts that run at the same time for one partition.
const CONCURRENCY: usize = 16;

/// Records received after the lowest unfinished one: what is redelivered after a crash while one key is stuck.
const MAX_AHEAD: usize = 4_096;

/// Pauses between the attempts for one record: from 100 ms to 10 s, jitter included, without end.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(5))
    .without_max_times()
    .with_jitter();

/// Handles the records of a partition.
pub(crate) trait Processor: Send + Sync + 'static {
    /// Waits until the record is due.
    fn wait_until_due(&self, record: &Record) -> impl Future<Output = ()> + Send;

    /// Waits until an attempt may be made.
    fn admit(&self) -> impl Future<Output = Pass<'_>> + Send;

    /// Makes one attempt. `Ok` is final; `Err` is the reason for another attempt.
    fn attempt(
        &self,
        record: &Record,
        attempt: u32,
        pass: &Pass<'_>,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Stores an offset for the next commit: the record with it and all records before it are finished.
    fn store_offset(&self, offset: i64);
}

/// The handle of a partition's task.
pub(crate) struct Partition {
    /// Sending waits only if the partition was not paused in time.
    pub(crate) queue: mpsc::Sender<Record>,
    pub(crate) budget: Budget,
    pub(crate) position: watch::Receiver<Position>,
    pub(crate) paused: bool,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The task of a partition that ends after its records in flight.
pub(crate) struct Draining(JoinHandle<()>);

/// The lowest unfinished record of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The offset of the first record received in this assignment.
    pub(crate) first: Option<i64>,
    /// The offset of the lowest unfinished record, or the one after the last finished record. `None` before the first record.
    pub(crate) lowest: Option<i64>,
    /// The timestamp of that record in milliseconds since 1970, if it was received.
    pub(crate) timestamp: Option<i64>,
}

impl Partition {
    /// Starts the task of a partition. The task notifies `has_room` after each finished record.
    pub(crate) fn start(processor: Arc<impl Processor>, budget: Budget, has_room: Arc<Notify>) -> Self {
        let (queue, records) = mpsc::channel(CAPACITY);
        let (progress, position) = watch::channel(Position::default());
        let stop = CancellationToken::new();
        let permits = Semaphore::new(CONCURRENCY);
        let task = Task { processor, stop: stop.clone(), permits, progress, has_room };
        let task = telemetry::task::spawn("partition", task.run(records));
        Self { queue, budget, position, paused: false, stop, task }
    }

    /// Ends the task after the records in flight.
    pub(crate) fn stop(self) -> Draining {
        self.stop.cancel();
        Draining(self.task)
    }
}

impl Draining {
    /// Waits until the deadline, then cancels the records in flight. Returns whether they finished in time.
    pub(crate) async fn finish_by(mut self, deadline: Instant) -> bool {
        let in_time = tokio::time::timeout_at(deadline.into(), &mut self.0).await.is_ok();
        self.abandon();
        in_time
    }

    /// Cancels the records in flight: another member already has them.
    pub(crate) fn abandon(self) {
        self.0.abort();
    }
}

struct Task<P> {
    processor: Arc<P>,
    stop: CancellationToken,
    permits: Semaphore,
    progress: watch::Sender<Position>,
    has_room: Arc<Notify>,
}

impl<P: Processor> Task<P> {
    async fn run(self, mut queue: mpsc::Receiver<Record>) {
        let (mut keys, mut offsets) = (KeyQueues::default(), Offsets::default());
        let mut in_flight = FuturesUnordered::new();
        loop {
            let stopping = self.stop.is_cancelled();
            if stopping && in_flight.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some((record, finished)) = in_flight.next() => {
                    if finished {
                        self.finish(&mut offsets, &record);
                        let next = keys.next(record.event.key.clone());
                        in_flight.extend(next.map(|next| self.process(next)));
                    }
                    // Releases its share of the budget before the notification.
                    drop(record);
                    self.has_room.notify_one();
                }
                () = self.stop.cancelled(), if !stopping => keys.clear(),
                record = queue.recv(), if !stopping && offsets.len() < MAX_AHEAD => {
                    let Some(record) = record else { return };
                    offsets.begin(record.offset, record.timestamp);
                    self.update_progress(&offsets, record.offset);
                    let ready = keys.push(record.event.key.clone(), record);
                    in_flight.extend(ready.map(|record| self.process(record)));
                }
            }
        }
    }

    /// Makes attempts until one is final; `false` when the partition stops before that. Each attempt holds a permit; a pause
    /// holds none, so a key that waits does not block other keys. The permit comes first, because the circuit can open during the
    /// wait for it.
    async fn process(&self, record: Record) -> (Record, bool) {
        for (attempt, pause) in (1..).zip(BACKOFF.build()) {
            let admitted = async {
                self.processor.wait_until_due(&record).await;
                let permit = self.permits.acquire().await.expect("the semaphore is never closed");
                (self.processor.admit().await, permit)
            };
            let (pass, permit) = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                admitted = admitted => admitted,
            };
            let Err(reason) = self.processor.attempt(&record, attempt, &pass).await else {
                drop((pass, permit));
                return (record, true);
            };
            drop((pass, permit));
            tracing::warn!(
                reason,
                attempt,
                ?pause,
                topic = record.event.origin.topic,
                partition = record.event.origin.partition,
                offset = record.event.origin.offset,
                "message not handled, trying again"
            );
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        (record, false)
    }

    fn finish(&self, offsets: &mut Offsets, record: &Record) {
        if let Some(offset) = offsets.finish(record.offset) {
            self.processor.store_offset(offset);
            self.update_progress(offsets, offset + 1);
        }
    }

    /// `next` is the offset after the received records, for the case that all of them are finished.
    fn update_progress(&self, offsets: &Offsets, next: i64) {
        let (lowest, timestamp) = offsets.lowest().unwrap_or((next, None));
        self.progress.send_modify(|position| {
            let first = position.first.or(Some(lowest));
            *position = Position { first, lowest: Some(lowest), timestamp };
        });
    }
}

#[cfg(test)]
mod tests;
