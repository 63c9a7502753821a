//! SMTP client with a connection pool: sends one mail per exchange, with a timeout for each phase.
//!
//! Uses the protocol implementation of lettre and not its pool: that pool reuses a connection whose exchange was cancelled, on which the next
//! mail would read the answers to the previous one, and it has no timeout for answers. This pool keeps a connection only after a
//! complete exchange.

mod connect;
mod error;
mod exchange;
mod settings;
mod tls;

pub(crate) use error::{Error, Reply};
pub(crate) use settings::{Server, Timeouts};

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::tls::Trust;
use lettre::{Message, message::Mailbox, transport::smtp::client::AsyncSmtpConnection};
use parking_lot::Mutex;
use telemetry::semconv;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::{Instrument, Span, field::Empty};

use self::{connect::Connector, exchange::exchange};
use crate::{domain::Rendered, lease::Lease};

/// Timeout of NOOP and QUIT on an idle connection.
const NOOP_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that was used this recently is reused without NOOP. If it is broken, MAIL fails, which costs only another attempt.
const RECENT: Duration = Duration::from_secs(5);

pub(crate) struct Mailer {
    connector: Arc<Connector>,
    from: Mailbox,
    timeouts: Timeouts,
    idle: Mutex<Vec<Idle>>,
    /// One permit for each connection that may be in use at the same time.
    permits: Arc<Semaphore>,
    max_connections: u16,
}

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
    /// Makes a mailer, without connecting.
    ///
    /// # Errors
    /// The host of the server is neither a host name nor an address.
    pub(crate) fn new(
        server: Server,
        from: Mailbox,
        timeouts: Timeouts,
        max_connections: u16,
        trust: &Trust,
    ) -> anyhow::Result<Self> {
        let permits = Arc::new(Semaphore::new(max_connections.into()));
        let connector = Connector::new(server, from.email.domain(), timeouts.clone(), trust)?;
        Ok(Self {
            connector: Arc::new(connector),
            from,
            timeouts,
            idle: Mutex::default(),
            permits,
            max_connections,
        })
    }

    pub(crate) fn domain(&self) -> &str {
        self.from.email.domain()
    }

    pub(crate) fn compose(&self, recipient: &str, email: Rendered) -> Result<Message, Error> {
        exchange::compose(self.from.clone(), recipient, email)
    }

    /// Returns a connection; waits while `max_connections` are in use. Call it before the claim of a mail, so that an unreachable server
    /// does not make an outcome unknown.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        self.connect_with(permit).await
    }

    /// Returns a connection, or `None` if it would be the last one: a promotion never takes that.
    pub(crate) async fn connect_if_spare(&self) -> Result<Option<Connection>, Error> {
        // Both at once, so that two promotions cannot take the last two.
        let Ok(mut both) = Arc::clone(&self.permits).try_acquire_many_owned(2) else { return Ok(None) };
        drop(both.split(1));
        self.connect_with(both).await.map(Some)
    }

    /// Returns how many connections promotions may hold: a quarter.
    pub(crate) fn connections_for_promotions(&self) -> u16 {
        (self.max_connections / 4).max(1)
    }

    /// Returns the fraction of connections in use.
    pub(crate) fn in_use(&self) -> f64 {
        let free = u16::try_from(self.permits.available_permits()).unwrap_or(self.max_connections);
        1.0 - f64::from(free) / f64::from(self.max_connections)
    }

    async fn connect_with(&self, permit: OwnedSemaphorePermit) -> Result<Connection, Error> {
        // The connection that was used last, so that few stay in use and the others can be closed.
        let kept = self.idle.lock().pop();
        if let Some(mut kept) = kept {
            if kept.since.elapsed() < RECENT {
                return Ok(Connection { inner: kept.connection, _permit: permit });
            }
            match timeout(NOOP_TIMEOUT, kept.connection.test_connected()).await {
                Ok(true) => return Ok(Connection { inner: kept.connection, _permit: permit }),
                // If one idle connection is broken, the others probably are too.
                Ok(false) | Err(_) => self.idle.lock().clear(),
            }
        }
        let span = self.client_span("smtp connect");
        let inner = observed(self.connector.open()).instrument(span).await?;
        Ok(Connection { inner, _permit: permit })
    }

    /// Returns a connection to the pool. Its last exchange is complete.
    pub(crate) fn keep(&self, connection: Connection) {
        self.idle.lock().push(Idle { connection: connection.inner, since: Instant::now() });
    }

    /// Sends a message. After an error that [`is_unknown`](Error::is_unknown), the server may have it; after any other error, it does not.
    pub(crate) async fn send(
        &self,
        mut connection: Connection,
        message: &Message,
        lease: &Lease,
    ) -> Result<(), Error> {
        let span = self.client_span("smtp send");
        let exchanging = exchange(&mut connection.inner, message, &self.timeouts, lease);
        observed(exchanging).instrument(span).await?;
        self.keep(connection);
        Ok(())
    }

    /// Readiness check: the server answers, with the required encryption, and accepts the login.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let mut connection = self.connector.probe().await?;
        let answered = connection.test_connected().await;
        connection.abort().await;
        if answered { Ok(()) } else { Err(Error::Unavailable("it does not answer")) }
    }

    /// Closes the idle connections with QUIT.
    pub(crate) async fn close(&self) {
        let kept = std::mem::take(&mut *self.idle.lock());
        for mut kept in kept {
            if timeout(NOOP_TIMEOUT, kept.connection.abort()).await.is_err() {
                tracing::debug!("the SMTP server does not answer to QUIT");
            }
        }
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
        span.record(semconv::ERROR_TYPE, <&str>::from(error));
    }
    result
}
