//! One partition: a bounded queue, and a task that handles its keys side by side and each key's records in order.

use std::{
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Instant,
};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    Handler, Settings,
    budget::{Budget, HIGH_WATER},
    context::Context,
    dead_letter::DeadLetters,
    lanes::Lanes,
    message::Received,
    metrics,
    offsets::Offsets,
    settle::settle,
};

/// The queue's size. Nothing arrives after a pause, so one more than [`HIGH_WATER`] would do.
const CAPACITY: usize = 2 * HIGH_WATER;

/// Handlers at work on one partition at a time.
const HANDLERS: usize = 16;

/// Records received beyond the lowest unfinished one at most: what is delivered again after a crash, while one key is stuck.
const MAX_AHEAD: usize = 4_096;

/// What the tasks of all partitions share.
pub(crate) struct Shared<H> {
    pub(crate) settings: Settings,
    pub(crate) handler: H,
    pub(crate) dead_letters: DeadLetters,
    /// The consumer owns the partitions through its context, so they must not keep it alive.
    pub(crate) consumer: Weak<StreamConsumer<Context>>,
    /// Told when there may be room for a paused partition.
    pub(crate) drained: Arc<Notify>,
}

/// The receiving end's view of a partition.
pub(crate) struct Partition {
    queue: mpsc::Sender<Received>,
    pub(crate) budget: Budget,
    pub(crate) progress: Arc<Progress>,
    stop: CancellationToken,
    ending: Stopping,
    pub(crate) paused: bool,
}

/// A partition that was told to end after the messages in hand.
pub(crate) struct Stopping {
    abandon: CancellationToken,
    finished: oneshot::Receiver<()>,
}

/// How far a partition has got.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Position>);

/// The lowest unfinished record of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The first record that was received since the partition was assigned.
    pub(crate) first: Option<i64>,
    /// Its offset, or the one behind the last finished record. `None` before the first record.
    pub(crate) lowest: Option<i64>,
    /// When it was written, in milliseconds since 1970, if it has been received.
    pub(crate) timestamp: Option<i64>,
}

impl Progress {
    pub(crate) fn position(&self) -> Position {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Position> {
        self.0.lock().expect("no panic under this lock")
    }
}

impl Stopping {
    /// Waits until the deadline, and then ends the work on the messages in hand wherever it is. Returns whether they had
    /// finished by themselves.
    pub(crate) async fn finish_by(self, deadline: Instant) -> bool {
        // The sender is dropped, never used: an error is how a task says that it has finished.
        let in_time = tokio::time::timeout_at(deadline.into(), self.finished).await.is_ok();
        self.abandon.cancel();
        in_time
    }

    /// Ends the work on the messages in hand wherever it is: they are another member's already.
    pub(crate) fn abandon(self) {
        self.abandon.cancel();
    }
}

impl Partition {
    /// Starts the task of a partition that was just assigned.
    pub(crate) fn start<H: Handler>(shared: Arc<Shared<H>>, budget: Budget) -> Self {
        let (queue, messages) = mpsc::channel(CAPACITY);
        let (finish, finished) = oneshot::channel();
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let progress = Arc::<Progress>::default();
        let task = Task {
            shared,
            stop: stop.clone(),
            handlers: Semaphore::new(HANDLERS),
            progress: Arc::clone(&progress),
        };
        let running = {
            let abandon = abandon.clone();
            async move {
                tokio::select! {
                    biased;
                    () = abandon.cancelled() => {}
                    () = task.run(messages) => {}
                }
            }
        };
        telemetry::task::spawn("partition", running.map(move |()| drop(finish)));
        Self { queue, budget, progress, stop, ending: Stopping { abandon, finished }, paused: false }
    }

    /// Where its messages go. Sending waits only if the partition could not be paused in time.
    pub(crate) fn queue(&self) -> mpsc::Sender<Received> {
        self.queue.clone()
    }

    /// Tells the task to end after the messages in hand.
    pub(crate) fn stop(self) -> Stopping {
        self.stop.cancel();
        self.ending
    }
}

struct Task<H> {
    shared: Arc<Shared<H>>,
    stop: CancellationToken,
    handlers: Semaphore,
    progress: Arc<Progress>,
}

impl<H: Handler> Task<H> {
    async fn run(self, mut messages: mpsc::Receiver<Received>) {
        let (mut lanes, mut offsets) = (Lanes::default(), Offsets::default());
        let mut in_hand = FuturesUnordered::new();
        loop {
            let stopping = self.stop.is_cancelled();
            if stopping && in_hand.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some((record, settled)) = in_hand.next() => {
                    if settled {
                        self.finish(&mut offsets, &record);
                        let next = lanes.leave(record.key().map(<[u8]>::to_vec));
                        in_hand.extend(next.map(|next| self.settle(next)));
                    }
                    // Gives its room back before that is told.
                    drop(record);
                    self.shared.drained.notify_one();
                }
                () = self.stop.cancelled(), if !stopping => lanes.clear(),
                message = messages.recv(), if !stopping && offsets.len() < MAX_AHEAD => {
                    let Some(record) = message else { return };
                    offsets.begin(record.offset(), record.timestamp_ms());
                    self.note(&offsets, record.offset());
                    let turn = lanes.enter(record.key().map(<[u8]>::to_vec), record);
                    in_hand.extend(turn.map(|record| self.settle(record)));
                }
            }
        }
    }

    /// Handles a record until its outcome is final, or until told to stop.
    async fn settle(&self, record: Received) -> (Received, bool) {
        let settled = settle(&self.shared, &record, &self.handlers, &self.stop).await;
        (record, settled)
    }

    /// Notes a finished record, and stores what may be committed now.
    fn finish(&self, offsets: &mut Offsets, record: &Received) {
        if let Some(offset) = offsets.finish(record.offset()) {
            self.store_offset(record, offset);
            self.note(offsets, offset + 1);
        }
    }

    /// Shows how far the partition has got; `next` is the offset to go on with when nothing is unfinished.
    fn note(&self, offsets: &Offsets, next: i64) {
        let (lowest, timestamp) = offsets.lowest().unwrap_or((next, None));
        let mut position = self.progress.lock();
        let first = position.first.or(Some(lowest));
        *position = Position { first, lowest: Some(lowest), timestamp };
    }

    fn store_offset(&self, record: &Received, offset: i64) {
        let Some(consumer) = self.shared.consumer.upgrade() else { return };
        fail_point::hit("consumer.before_store_offset");
        if let Err(error) = consumer.store_offset(record.topic(), record.partition(), offset) {
            metrics::LATE_OFFSETS.with_label_values(&[record.topic()]).inc();
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "offset not stored, the partition has another owner"
            );
        }
    }
}
