//! The answer to BEGIN, which is waited for when it is needed.

use deadpool_postgres::ClientWrapper;
use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::Mutex;

use crate::Error;

/// A BEGIN that is on its way.
pub(super) struct Begin<'a>(Mutex<State<'a>>);

enum State<'a> {
    Sent(BoxFuture<'a, Result<(), tokio_postgres::Error>>),
    Open,
    Failed(Error),
}

impl<'a> Begin<'a> {
    /// Puts it on the connection.
    pub(super) async fn send(client: &'a ClientWrapper) -> Self {
        let mut answer = client.batch_execute("BEGIN").boxed();
        // The first poll puts it there.
        let state = match futures::poll!(answer.as_mut()) {
            std::task::Poll::Pending => State::Sent(answer),
            std::task::Poll::Ready(answer) => State::of(answer),
        };
        Self(Mutex::new(state))
    }

    /// Waits for the server's answer; the same one each time.
    pub(super) async fn answer(&self) -> Result<(), Error> {
        let mut state = self.0.lock().await;
        if let State::Sent(answer) = &mut *state {
            *state = State::of(answer.await);
        }
        match &*state {
            State::Failed(error) => Err(error.copy()),
            State::Sent(_) | State::Open => Ok(()),
        }
    }
}

impl State<'_> {
    fn of(answer: Result<(), tokio_postgres::Error>) -> Self {
        answer.map_or_else(|error| Self::Failed(error.into()), |()| Self::Open)
    }
}
