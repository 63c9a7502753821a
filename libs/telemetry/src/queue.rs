//! The bounded queue of finished spans, which counts the spans dropped when it is full.

use std::{fmt::Debug, future::Future, time::Duration};

use opentelemetry_sdk::runtime::{Runtime, RuntimeChannel, Tokio, TrySend, TrySendError};

use crate::metrics::SPANS_DROPPED;

/// Tokio's runtime with a counting queue: the SDK's own count is private, and logged at the end only.
#[derive(Clone, Debug)]
pub(crate) struct Counting;

impl Runtime for Counting {
    fn spawn<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Tokio.spawn(future);
    }

    fn delay(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        Tokio.delay(duration)
    }
}

impl RuntimeChannel for Counting {
    type Receiver<T: Debug + Send> = <Tokio as RuntimeChannel>::Receiver<T>;
    type Sender<T: Debug + Send> = CountingSender<<Tokio as RuntimeChannel>::Sender<T>>;

    fn batch_message_channel<T: Debug + Send>(
        &self,
        capacity: usize,
    ) -> (Self::Sender<T>, Self::Receiver<T>) {
        let (sender, receiver) = Tokio.batch_message_channel(capacity);
        (CountingSender(sender), receiver)
    }
}

/// Counts the messages that do not fit: spans, and at most the flush of the shutdown.
#[derive(Debug)]
pub(crate) struct CountingSender<S>(S);

impl<S: TrySend> TrySend for CountingSender<S> {
    type Message = S::Message;

    fn try_send(&self, item: Self::Message) -> Result<(), TrySendError> {
        let result = self.0.try_send(item);
        if result.is_err() {
            SPANS_DROPPED.inc();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn spans_dropped_at_a_full_queue_are_counted() {
        let before = SPANS_DROPPED.get();
        let (sender, receiver) = Counting.batch_message_channel(2);
        let taken = (0..5).filter(|number| sender.try_send(*number).is_ok()).count();
        assert_eq!((taken, SPANS_DROPPED.get() - before), (2, 3));
        drop(receiver);
        assert!(sender.try_send(5).is_err());
        assert_eq!(SPANS_DROPPED.get() - before, 4);
    }
}
