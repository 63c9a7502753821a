//! HTTP/1.1 client for one server: a bounded number of connections, kept open, the most recently used first.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    StatusCode,
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderMap, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{
    net::TcpStream,
    sync::{Semaphore, SemaphorePermit},
    time::{timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

/// A connection that was idle for longer is closed and not used: the server may be about to close it, and a request that is lost
/// then would look like a failure of the server.
const MAX_IDLE: Duration = Duration::from_secs(2);

/// The longest body that is read.
const BODY_LIMIT: usize = 16 << 20;

/// A request with its whole body, and without the header `host`.
pub type Request = hyper::Request<Full<Bytes>>;

/// Makes a GET request.
pub fn get(path_and_query: &str) -> anyhow::Result<Request> {
    Ok(hyper::Request::get(path_and_query).body(Full::default())?)
}

/// The bounds of the requests to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of connections.
    pub connections: usize,
    /// Maximum number of requests that wait for a connection.
    pub waiting: usize,
    /// How long a request waits for a connection, from its intended start.
    pub slot_timeout: Duration,
    /// How long an answer may take, with the time to connect.
    pub request_timeout: Duration,
}

impl Limits {
    /// For a client that does not measure.
    pub const FEW: Self = Self {
        connections: 8,
        waiting: 32,
        slot_timeout: Duration::from_secs(30),
        request_timeout: Duration::from_secs(5),
    };

    /// For clients that wait for a service that hangs. None gives up for want of a connection, so a reconciler misses no order.
    pub const WAITING: Self = Self {
        connections: 1_000,
        waiting: 10_000,
        slot_timeout: Duration::from_mins(1),
        request_timeout: Duration::from_secs(5),
    };
}

/// The answer of a server.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// Fails when the answer has another status; the error has the body.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        ensure!(
            self.status == status,
            "HTTP {} instead of {status}: {}",
            self.status.as_u16(),
            self.excerpt()
        );
        Ok(self)
    }

    /// Parses the body.
    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body).with_context(|| format!("unexpected body: {}", self.excerpt()))
    }

    /// Returns the beginning of the body, for messages.
    pub fn excerpt(&self) -> String {
        String::from_utf8_lossy(self.body.get(..1000).unwrap_or(&self.body)).into_owned()
    }

    /// Returns a header; empty when it is missing or not text.
    pub fn header(&self, name: impl hyper::header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Failure {
    /// No connection became free in time; nothing was sent.
    #[error("dropped")]
    Dropped,
    /// No answer in time. The request may have been sent.
    #[error("timeout")]
    Timeout,
    /// No connection could be opened.
    #[error("no connection")]
    Connect,
    /// The connection broke, or the answer was not HTTP.
    #[error("connection broken")]
    Broken,
}

/// The connections to one server.
#[derive(Debug)]
pub struct Connections {
    /// `host:port`.
    authority: String,
    host: HeaderValue,
    limits: Limits,
    slots: Semaphore,
    waiting: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
    used_at: Instant,
}

impl Connections {
    /// Opens no connection yet. `url` is `http://host:port`.
    pub fn new(url: &str, limits: Limits) -> anyhow::Result<Self> {
        let authority = authority(url)?;
        Ok(Self {
            authority: authority.to_owned(),
            host: HeaderValue::from_str(authority)?,
            limits,
            slots: Semaphore::new(limits.connections),
            waiting: Semaphore::new(limits.waiting),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Sends a request now. An error names the request.
    pub async fn call(&self, request: Request) -> anyhow::Result<Answer> {
        let what =
            format!("{} {}: no answer from {}", request.method(), request.uri().path(), self.authority);
        self.send(request, Instant::now()).await.context(what)
    }

    /// Sends a request whose intended start is `intended`.
    pub async fn send(&self, mut request: Request, intended: Instant) -> Result<Answer, Failure> {
        request.headers_mut().insert(HOST, self.host.clone());
        let _slot = self.slot(intended).await?;
        timeout(self.limits.request_timeout, self.exchange(request)).await.unwrap_or(Err(Failure::Timeout))
    }

    async fn slot(&self, intended: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(permit) = self.slots.try_acquire() {
            return Ok(permit);
        }
        let _waiting = self.waiting.try_acquire().or(Err(Failure::Dropped))?;
        let deadline = intended + self.limits.slot_timeout;
        match timeout_at(deadline.into(), self.slots.acquire()).await {
            Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
            Err(_) => Err(Failure::Dropped),
        }
    }

    async fn exchange(&self, request: Request) -> Result<Answer, Failure> {
        let mut connection = match self.take_idle() {
            Some(connection) => connection,
            None => self.open().await.or(Err(Failure::Connect))?,
        };
        let response = connection.sender.send_request(request).await.or(Err(Failure::Broken))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await.or(Err(Failure::Broken))?.to_bytes();
        // A server that asked for the connection to be closed closes it before it is ready again.
        if connection.sender.ready().await.is_ok() {
            connection.used_at = Instant::now();
            self.idle.lock().expect("no panic while locked").push(connection);
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().expect("no panic while locked");
        let newest = idle.pop()?;
        if newest.sender.is_ready() && newest.used_at.elapsed() < MAX_IDLE {
            return Some(newest);
        }
        // The others have been idle for longer.
        idle.clear();
        None
    }

    async fn open(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // The sender reports the errors of the connection.
        let driver = tokio::spawn(async { driver.await.unwrap_or_default() });
        Ok(Connection { sender, _driver: AbortOnDropHandle::new(driver), used_at: Instant::now() })
    }
}

/// Returns `host:port` of a URL `http://host:port`.
pub(crate) fn authority(url: &str) -> anyhow::Result<&str> {
    let rest =
        url.strip_prefix("http://").context("expected http://host:port: the load test supports no TLS")?;
    let authority = rest.trim_end_matches('/');
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    ensure!(has_port, "expected http://host:port, with the port");
    Ok(authority)
}
