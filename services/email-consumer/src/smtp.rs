//! The way to the SMTP server.
//!
//! lettre speaks the protocol. Its connection pool is not used: it takes back a connection whose exchange was abandoned
//! half way, on which the next mail would read the answers to the last one, and nothing in it bounds the wait for an
//! answer. Here a connection is kept only after a complete exchange, and every phase has a limit.

mod connect;
mod error;
mod exchange;
mod limits;
mod message;
mod reply;
mod secured;
mod server;
mod starttls;

pub(crate) use error::Error;
pub(crate) use limits::Limits;
pub(crate) use reply::Reply;
pub(crate) use server::Server;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use lettre::{Message, message::Mailbox, transport::smtp::client::AsyncSmtpConnection};
use telemetry::semconv;
use tls::Trust;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::{Instrument, Span, field::Empty};

use self::{connect::Connector, exchange::exchange};
use crate::{domain::mail::Mail, handover::Lease};

/// How long a kept connection may take to show that it is alive, or to say goodbye.
const NOOP_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that was used so short a time ago is not asked whether it is alive. If it is not, MAIL fails, which costs
/// another attempt and nothing else.
const RECENT: Duration = Duration::from_secs(5);

/// Sends mails.
pub(crate) struct Mailer {
    connector: Arc<Connector>,
    from: Mailbox,
    limits: Limits,
    idle: Mutex<Vec<Idle>>,
    /// One for each connection that may be open for mails at a time.
    permits: Arc<Semaphore>,
}

/// A connection that waits for its next mail.
struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// A connection for one mail.
pub(crate) struct Connection {
    inner: AsyncSmtpConnection,
    _permit: OwnedSemaphorePermit,
}

impl Mailer {
    /// Makes a mailer that uses `max_connections` at a time; nothing is connected yet.
    ///
    /// # Errors
    /// The server's name is none.
    pub(crate) fn new(
        server: Server,
        from: Mailbox,
        limits: Limits,
        max_connections: usize,
        trust: &Trust,
    ) -> anyhow::Result<Self> {
        let permits = Arc::new(Semaphore::new(max_connections));
        let connector = Connector::new(server, from.email.domain(), limits.clone(), trust)?;
        Ok(Self { connector: Arc::new(connector), from, limits, idle: Mutex::default(), permits })
    }

    /// The domain of our sender.
    pub(crate) fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// Puts a mail into the form in which it travels.
    pub(crate) fn compose(&self, recipient: &str, mail: Mail) -> Result<Message, Error> {
        message::compose(self.from.clone(), recipient, mail)
    }

    /// Returns a connection, as soon as there may be one more. Asked for before a mail is claimed, so that a server which is
    /// down is no question of what it may have received.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        // The one used last, so that a few stay in use and the others can end.
        let kept = self.idle().pop();
        if let Some(mut kept) = kept {
            if kept.since.elapsed() < RECENT {
                return Ok(Connection { inner: kept.connection, _permit: permit });
            }
            match timeout(NOOP_TIMEOUT, kept.connection.test_connected()).await {
                Ok(true) => return Ok(Connection { inner: kept.connection, _permit: permit }),
                // When one connection is dead, the others most likely are too.
                Ok(false) | Err(_) => self.idle().clear(),
            }
        }
        let span = self.client_span("smtp connect");
        let inner = observed(self.connector.open()).instrument(span).await?;
        Ok(Connection { inner, _permit: permit })
    }

    /// Takes back a connection on which the last exchange, if there was any, is complete.
    pub(crate) fn keep(&self, connection: Connection) {
        self.idle().push(Idle { connection: connection.inner, since: Instant::now() });
    }

    /// Hands a message over. An error that [`is_unknown`](Error::is_unknown) leaves open whether the server has it; after
    /// any other it does not.
    pub(crate) async fn send(
        &self,
        mut connection: Connection,
        message: &Message,
        lease: &Lease,
    ) -> Result<(), Error> {
        let span = self.client_span("smtp send");
        let exchanging = exchange(&mut connection.inner, message, &self.limits, lease);
        observed(exchanging).instrument(span).await?;
        self.keep(connection);
        Ok(())
    }

    /// The readiness check: whether the server answers, securely where it has to, and lets us in.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let mut connection = self.connector.probe().await?;
        let answered = connection.test_connected().await;
        connection.abort().await;
        if answered { Ok(()) } else { Err(Error::Unavailable("it does not answer")) }
    }

    /// Says goodbye on the connections that are kept.
    pub(crate) async fn close(&self) {
        let kept = std::mem::take(&mut *self.idle());
        for mut kept in kept {
            if timeout(NOOP_TIMEOUT, kept.connection.abort()).await.is_err() {
                tracing::debug!("the SMTP server does not answer to QUIT");
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().expect("no panic under this lock")
    }

    fn client_span(&self, name: &'static str) -> Span {
        let (host, port) = self.connector.address();
        tracing::info_span!(
            "smtp",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            { semconv::SERVER_ADDRESS } = host,
            { semconv::SERVER_PORT } = port,
            { semconv::ERROR_TYPE } = Empty,
        )
    }
}

/// Marks the current span as failed when the operation fails.
async fn observed<T>(operation: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let result = operation.await;
    if let Err(error) = &result {
        let span = Span::current();
        span.record("otel.status_code", "ERROR");
        span.record(semconv::ERROR_TYPE, error.kind());
    }
    result
}
