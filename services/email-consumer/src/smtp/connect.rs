//! Opens connections for mails: TCP, TLS, greeting and login.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lettre::transport::smtp::{
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, AsyncTokioStream},
    extension::ClientId,
};
use parking_lot::Mutex;
use tls::Trust;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

use super::{
    Error,
    error::Phase,
    exchange::within,
    settings::{Security, Server, Timeouts},
    tls::{self as smtp_tls, Secured},
};

/// Pause after a refused login: a server may lock a user after several wrong passwords.
const LOGIN_PAUSE: Duration = Duration::from_secs(30);

/// For this time after an accepted login, readiness checks do not log in: providers limit logins.
const LOGIN_TRUST: Duration = Duration::from_mins(5);

pub(super) struct Connector {
    server: Server,
    security: Security,
    credentials: Option<Credentials>,
    /// The name that the certificate of the server must have.
    name: ServerName<'static>,
    /// The name in EHLO.
    hello: ClientId,
    tls: TlsConnector,
    timeouts: Timeouts,
    login: Mutex<Login>,
    /// Held during a login as long as no login has been accepted.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Copy)]
enum Login {
    None,
    Accepted(Instant),
    Refused(Instant, u16),
}

impl Connector {
    /// Makes a connector, without connecting. `hello` is the name in EHLO; `trust` verifies the certificate of the server.
    pub(super) fn new(
        server: Server,
        hello: &str,
        timeouts: Timeouts,
        trust: &Trust,
    ) -> anyhow::Result<Self> {
        let name = ServerName::try_from(server.smtp_host.clone()).with_context(|| {
            format!("SMTP_HOST ({}) is neither a host name nor an address", server.smtp_host)
        })?;
        Ok(Self {
            security: server.security(),
            credentials: server.credentials(),
            name,
            hello: ClientId::Domain(hello.to_owned()),
            tls: TlsConnector::from(Arc::new(trust.client_config())),
            timeouts,
            login: Mutex::new(Login::None),
            turn: Arc::default(),
            server,
        })
    }

    pub(super) fn address(&self) -> (&str, u16) {
        (&self.server.smtp_host, self.server.smtp_port)
    }

    pub(super) async fn open(&self) -> Result<AsyncSmtpConnection, Error> {
        // Until a login is accepted, connections log in one by one, so that a wrong password is not tried by all of them.
        let turn = if self.needs_login() { Some(self.turn.lock().await) } else { None };
        // The previous login may have been accepted.
        let turn = turn.filter(|_| self.needs_login());
        let connection = self.open_in_turn().await;
        drop(turn);
        connection
    }

    /// Opens a connection for a readiness check. Logs in only if no login was accepted lately.
    pub(super) async fn probe(self: &Arc<Self>) -> Result<AsyncSmtpConnection, Error> {
        if !self.needs_login() {
            return self.connect().await;
        }
        let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() else {
            return Err(Error::Unavailable("a login is under way"));
        };
        // In its own task: a check has a timeout of a second, and servers refuse a login slowly. A login that the check cancels would be
        // repeated by the next check.
        let this = Arc::clone(self);
        let opening = tokio::spawn(async move {
            let connection = this.open_in_turn().await;
            drop(turn);
            connection
        });
        opening.await.unwrap_or(Err(Error::Unavailable("the check was interrupted")))
    }

    async fn open_in_turn(&self) -> Result<AsyncSmtpConnection, Error> {
        if let Login::Refused(at, code) = *self.login.lock()
            && at.elapsed() < LOGIN_PAUSE
        {
            return Err(Error::LoginRefused(code));
        }
        let mut connection = self.connect().await?;
        if let Some(credentials) = &self.credentials {
            self.log_in(&mut connection, credentials).await?;
        }
        Ok(connection)
    }

    /// Returns whether a login is configured and none was accepted lately.
    fn needs_login(&self) -> bool {
        let is_trusted = matches!(*self.login.lock(), Login::Accepted(at) if at.elapsed() < LOGIN_TRUST);
        self.credentials.is_some() && !is_trusted
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let connecting = TcpStream::connect(self.address());
        let stream = match timeout(self.timeouts.connect, connecting).await {
            // With Nagle's algorithm, the small write that ends a message would wait for the delayed acknowledgement of the previous one: 40 ms
            // for each mail.
            Ok(connected) => connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)),
            Err(_) => return Err(Error::Unavailable("it does not answer in time")),
        };
        let stream = stream.or(Err(Error::Unavailable("it cannot be connected to")))?;
        let stream: Box<dyn AsyncTokioStream> = match self.security {
            Security::None => Box::new(stream),
            Security::Implicit => Box::new(Secured::new(self.handshake(stream).await?, b"")),
            Security::Starttls => Box::new(Secured::new(self.start_tls(stream).await?, b"220 secured\r\n")),
        };
        let greeting = AsyncSmtpConnection::connect_with_transport(stream, &self.hello);
        match timeout(self.timeouts.greeting, greeting).await {
            Ok(greeted) => greeted.map_err(|error| Error::before_end(Phase::Greeting, &error)),
            Err(_) if self.security == Security::Implicit => {
                Err(Error::Unavailable("it does not greet in time"))
            }
            Err(_) => Err(SILENT),
        }
    }

    async fn start_tls(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Error> {
        let greeting = smtp_tls::greet(stream, &self.hello);
        let stream = timeout(self.timeouts.greeting, greeting).await.unwrap_or(Err(SILENT))?;
        let begun = timeout(self.timeouts.tls, smtp_tls::begin(stream)).await;
        self.handshake(begun.unwrap_or(Err(Error::Insecure(LATE_HANDSHAKE)))?).await
    }

    async fn handshake(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Error> {
        match timeout(self.timeouts.tls, self.tls.connect(self.name.clone(), stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(Error::Insecure(
                tls::explain(&error).unwrap_or("the connection broke during the handshake"),
            )),
            Err(_) => Err(Error::Insecure(LATE_HANDSHAKE)),
        }
    }

    async fn log_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        credentials: &Credentials,
    ) -> Result<(), Error> {
        if connection.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
            return Err(Error::NoLogin);
        }
        let login = connection.auth(DEFAULT_MECHANISMS, credentials);
        let outcome = within(self.timeouts.login, Phase::Login, login).await;
        match outcome {
            Ok(()) => *self.login.lock() = Login::Accepted(Instant::now()),
            Err(Error::LoginRefused(code)) => *self.login.lock() = Login::Refused(Instant::now(), code),
            Err(_) => {}
        }
        outcome
    }
}

const SILENT: Error = Error::Unavailable(
    "it does not greet in time; if it expects TLS from the first byte on, set SMTP_TLS=implicit",
);

const LATE_HANDSHAKE: &str = "the handshake takes too long";
