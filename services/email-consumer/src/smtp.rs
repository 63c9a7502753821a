//! The way to the SMTP server.
//!
//! lettre speaks the protocol. Its connection pool is not used: it takes back a connection whose exchange was abandoned
//! half way, on which the next mail would read the answers to the last one, and nothing in it bounds the wait for an
//! answer. Here a connection is kept only after a complete exchange, and every wait has a limit.
//!
//! Plain text without a login: the server is a relay in a network of our own.

mod error;
mod message;

pub(crate) use error::Error;

use std::{
    io,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use lettre::{
    Message,
    message::Mailbox,
    transport::smtp::{client::AsyncSmtpConnection, extension::ClientId},
};
use telemetry::semconv;
use tokio::{net::TcpStream, time::timeout};
use tracing::{Instrument, Span, field::Empty};

use crate::domain::mail::Mail;

/// How long connecting and greeting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a kept connection may take to show that it is alive, or to say goodbye.
const NOOP_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the exchange of one mail may take. When it is over, nobody knows whether the server has the mail.
const SEND_TIMEOUT: Duration = Duration::from_secs(4);

/// Connections kept for the next mail at most.
const MAX_IDLE: usize = 8;

/// Sends mails.
pub(crate) struct Mailer {
    host: String,
    port: u16,
    from: Mailbox,
    idle: Mutex<Vec<AsyncSmtpConnection>>,
}

/// A connection on which the server has just answered.
pub(crate) struct Connection(AsyncSmtpConnection);

impl Mailer {
    /// Makes a mailer; nothing is connected yet.
    pub(crate) fn new(host: String, port: u16, from: Mailbox) -> Self {
        Self { host, port, from, idle: Mutex::default() }
    }

    /// The domain of our sender.
    pub(crate) fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// Puts a mail into the form in which it travels.
    pub(crate) fn compose(&self, recipient: &str, mail: Mail) -> Result<Message, Error> {
        message::compose(self.from.clone(), recipient, mail)
    }

    /// Returns a live connection. Asked for before a mail is handed over, so that a server which is down is no question
    /// of what it may have received.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let kept = self.idle().pop();
        if let Some(mut connection) = kept {
            match timeout(NOOP_TIMEOUT, connection.test_connected()).await {
                Ok(true) => return Ok(Connection(connection)),
                // When one connection is dead, the others most likely are too.
                Ok(false) | Err(_) => self.idle().clear(),
            }
        }
        let span = self.client_span("smtp connect");
        observed(self.open()).instrument(span).await.map(Connection)
    }

    /// Hands a message over. An error that is not [`is_refusal`](Error::is_refusal) leaves open whether the server has
    /// it.
    pub(crate) async fn send(&self, connection: Connection, message: &Message) -> Result<(), Error> {
        let span = self.client_span("smtp send");
        observed(self.exchange(connection, message)).instrument(span).await
    }

    /// The readiness check: whether the server answers.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let mut connection = self.open().await?;
        let answered = connection.test_connected().await;
        connection.abort().await;
        if answered { Ok(()) } else { Err(Error::Unavailable("it does not answer")) }
    }

    /// Says goodbye on the connections that are kept.
    pub(crate) async fn close(&self) {
        let kept = std::mem::take(&mut *self.idle());
        for mut connection in kept {
            if timeout(NOOP_TIMEOUT, connection.abort()).await.is_err() {
                tracing::debug!("the SMTP server does not answer to QUIT");
            }
        }
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Error> {
        match timeout(CONNECT_TIMEOUT, self.greet()).await {
            Ok(connected) => connected,
            Err(_) => Err(Error::Unavailable("it does not answer in time")),
        }
    }

    /// lettre ends a message with a small write of its own. With Nagle's algorithm that one waits for the server's
    /// delayed acknowledgement of the write before: 40 ms a mail.
    async fn greet(&self) -> Result<AsyncSmtpConnection, Error> {
        let unreachable = |_: io::Error| Error::Unavailable("it cannot be connected to");
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let greeting = ClientId::Domain(self.domain().to_owned());
        let connecting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &greeting).await;
        connecting.map_err(|error| Error::from_connect(&error))
    }

    async fn exchange(&self, connection: Connection, message: &Message) -> Result<(), Error> {
        let Connection(mut connection) = connection;
        let bytes = message.formatted();
        match timeout(SEND_TIMEOUT, connection.send(message.envelope(), &bytes)).await {
            Ok(Ok(_accepted)) => {
                let mut idle = self.idle();
                if idle.len() < MAX_IDLE {
                    idle.push(connection);
                }
                Ok(())
            }
            Ok(Err(error)) => Err(Error::from_send(&error)),
            Err(_) => Err(Error::OutcomeUnknown("it did not answer in time")),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<AsyncSmtpConnection>> {
        self.idle.lock().expect("no panic under this lock")
    }

    fn client_span(&self, name: &'static str) -> Span {
        tracing::info_span!(
            "smtp",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            { semconv::SERVER_ADDRESS } = self.host,
            { semconv::SERVER_PORT } = self.port,
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
