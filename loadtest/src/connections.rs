//! Connections to one server: no more than a bound, kept open, the most recently used first.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::StatusCode;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;
use tokio::time::{timeout, timeout_at};

/// A connection that was not used for so long is closed rather than used: the server may be about to close it, and what it
/// drops then would look like its failure.
const STALE: Duration = Duration::from_secs(2);

/// The longest body that is read; none of ours comes near it.
const BODY_LIMIT: usize = 1 << 20;

/// A request with its whole body, and without the header `host`.
pub type Request = hyper::Request<Full<Bytes>>;

/// A GET request.
pub fn get(path: &str, headers: &[(HeaderName, HeaderValue)]) -> anyhow::Result<Request> {
    with_headers(hyper::Request::get(path), headers, Bytes::new())
}

/// A POST request.
pub fn post(path: &str, headers: &[(HeaderName, HeaderValue)], body: String) -> anyhow::Result<Request> {
    with_headers(hyper::Request::post(path), headers, Bytes::from(body))
}

fn with_headers(
    request: hyper::http::request::Builder,
    headers: &[(HeaderName, HeaderValue)],
    body: Bytes,
) -> anyhow::Result<Request> {
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    Ok(request.body(Full::new(body))?)
}

/// The bounds of what is under way to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at most.
    pub connections: usize,
    /// Requests that wait for a connection at most.
    pub waiting: usize,
    /// How long a request waits for a connection, from its intended start.
    pub slot_timeout: Duration,
    /// How long an answer may take, connecting included.
    pub request_timeout: Duration,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No connection became free in time, so nothing was sent.
    Dropped,
    /// The request was sent, or about to be, and no answer came in time.
    Timeout,
    /// No connection could be opened.
    Connect,
    /// The connection broke, or what came over it was not HTTP.
    Broken,
}

impl Failure {
    /// The word for it in reports.
    pub fn label(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Timeout => "timeout",
            Self::Connect => "no connection",
            Self::Broken => "connection broken",
        }
    }
}

/// The connections to one server.
#[derive(Debug)]
pub struct Connections {
    /// `host:port`.
    authority: String,
    host: HeaderValue,
    limits: Limits,
    slots: Semaphore,
    n_waiting: AtomicUsize,
    idle: Mutex<Vec<Connection>>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
    used_at: Instant,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connections {
    /// Opens nothing yet. `authority` is `host:port`.
    pub fn new(authority: &str, limits: Limits) -> anyhow::Result<Self> {
        Ok(Self {
            authority: authority.to_owned(),
            host: HeaderValue::from_str(authority)?,
            limits,
            slots: Semaphore::new(limits.connections),
            n_waiting: AtomicUsize::new(0),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Sends a request that was to leave at `intended`.
    pub async fn send(&self, mut request: Request, intended: Instant) -> Result<Answer, Failure> {
        request.headers_mut().insert(HOST, self.host.clone());
        let _slot = self.slot(intended).await?;
        timeout(self.limits.request_timeout, self.exchange(request)).await.unwrap_or(Err(Failure::Timeout))
    }

    async fn slot(&self, intended: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(permit) = self.slots.try_acquire() {
            return Ok(permit);
        }
        let _waiting = Waiting::begin(&self.n_waiting, self.limits.waiting).ok_or(Failure::Dropped)?;
        let deadline = intended + self.limits.slot_timeout;
        match timeout_at(deadline.into(), self.slots.acquire()).await {
            Ok(permit) => Ok(permit.expect("it is never closed")),
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
            self.idle.lock().expect("nobody panics with this lock").push(connection);
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().expect("nobody panics with this lock");
        let newest = idle.pop()?;
        if newest.sender.is_ready() && newest.used_at.elapsed() < STALE {
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
        // What goes wrong on it, its sender reports.
        let driver = tokio::spawn(async { driver.await.unwrap_or_default() }).abort_handle();
        Ok(Connection { sender, driver, used_at: Instant::now() })
    }
}

/// One of those who wait for a slot.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let waiting = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < limit).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
