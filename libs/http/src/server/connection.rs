//! Idle timeout and close of a connection, where actix has neither.
//!
//! A connection is idle when no request is being answered on it and no request arrives complete.
//! actix limits the time for the head of a connection's first request, and the pause before a later one. It has no limit for the head of
//! a later request (its timer stops at the first byte), for the rest of a chunked body that no handler reads, or for a client that does
//! not read its response. With a byte per second, a client could hold a connection open forever.
//!
//! Also, actix runs requests that were pipelined behind a request or a response with `Connection: close`. RFC 9112, section 9.6, forbids
//! that: the client expects no answer to them.

use std::{
    any::Any,
    cell::Cell,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{
    dev::{Extensions, RequestHead, ServiceRequest},
    http::{ConnectionType, header},
    rt::net::TcpStream as Stream,
};
use tokio::sync::oneshot;

/// The time for the last response of a connection to be sent when another request follows it. Responses are small and complete, so
/// the socket's buffer takes one at once, unless the client does not read.
const LAST_RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One connection, until actix drops it.
pub(super) struct Connection {
    /// A second handle of the same socket: actix lends its own at the beginning only. `None` when the process is out of file descriptors.
    socket: Option<TcpStream>,
    in_flight: Cell<u32>,
    idle_since: Cell<Instant>,
    /// No further request may run.
    closing: Cell<bool>,
}

/// Ends the idle timer when the connection is dropped.
struct Watched {
    connection: Rc<Connection>,
    _watch: oneshot::Sender<()>,
}

/// Starts the idle timer of a new connection. Call it on the thread that serves the connection.
pub(super) fn watch(io: &dyn Any, data: &mut Extensions, limit: Duration) {
    let encrypted = || io.downcast_ref::<TlsStream<Stream>>().map(|stream| stream.get_ref().0);
    let Some(stream) = io.downcast_ref::<Stream>().or_else(encrypted) else { return };
    let socket = match stream.as_fd().try_clone_to_owned() {
        Ok(socket) => Some(TcpStream::from(socket)),
        Err(error) => {
            tracing::warn!(%error, "a connection has no idle timeout; raise the limit of open files");
            None
        }
    };
    let idle_since = Cell::new(Instant::now());
    let closing = Cell::new(false);
    let connection = Rc::new(Connection { socket, in_flight: Cell::new(0), idle_since, closing });
    let (watch, ended) = oneshot::channel();
    actix_web::rt::spawn(close_when_idle(Rc::downgrade(&connection), ended, limit));
    data.insert(Watched { connection, _watch: watch });
}

async fn close_when_idle(connection: Weak<Connection>, mut ended: oneshot::Receiver<()>, limit: Duration) {
    while let Some(remaining) = connection.upgrade().and_then(|connection| connection.remaining(limit)) {
        tokio::select! {
            _ = &mut ended => return,
            () = tokio::time::sleep(remaining) => {}
        }
    }
}

impl Connection {
    /// Returns the rest of the idle time; closes the connection when none is left.
    fn remaining(&self, limit: Duration) -> Option<Duration> {
        if self.in_flight.get() > 0 {
            return Some(limit);
        }
        let remaining = limit.saturating_sub(self.idle_since.get().elapsed());
        if remaining.is_zero() {
            tracing::debug!("idle connection closed");
            self.shut(Shutdown::Both);
            return None;
        }
        Some(remaining)
    }

    /// Closes it after the time for the last response; actix can close a connection only by sending another response.
    pub(super) async fn close(&self) {
        self.shut(Shutdown::Read);
        tokio::time::sleep(LAST_RESPONSE_TIMEOUT).await;
        self.shut(Shutdown::Both);
    }

    fn shut(&self, what: Shutdown) {
        // It fails for a connection that the client has closed, which is fine.
        drop(self.socket.as_ref().map(|socket| socket.shutdown(what)));
    }
}

/// One request in flight on a connection, until this is dropped.
pub(super) struct RequestInFlight {
    /// `None` when it is not a TCP connection.
    connection: Option<Rc<Connection>>,
    /// It is the last one of the connection.
    last: Cell<bool>,
}

impl RequestInFlight {
    /// Begins a request.
    ///
    /// # Errors
    /// The connection is closing, and the request must not run.
    pub(super) fn begin(request: &ServiceRequest) -> Result<Self, Rc<Connection>> {
        let watched = request.request().conn_data::<Watched>();
        let connection = watched.map(|watched| Rc::clone(&watched.connection));
        if let Some(connection) = &connection {
            if connection.closing.get() {
                return Err(Rc::clone(connection));
            }
            connection.in_flight.set(connection.in_flight.get() + 1);
        }
        let in_flight = Self { connection, last: Cell::new(false) };
        if has_close(request.head()) {
            in_flight.set_last();
        }
        Ok(in_flight)
    }

    /// Makes this request the last one of its connection.
    pub(super) fn set_last(&self) {
        self.last.set(true);
        if let Some(connection) = &self.connection {
            connection.closing.set(true);
        }
    }

    /// Returns whether the response needs `Connection: close`. actix forgets that the request had it once it has read the next request.
    pub(super) fn is_last(&self) -> bool {
        self.last.get()
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.in_flight.set(connection.in_flight.get() - 1);
            connection.idle_since.set(Instant::now());
        }
    }
}

/// Returns whether the client closes the connection after this request: with `Connection: close`, or HTTP/1.0 without keep-alive.
fn has_close(head: &RequestHead) -> bool {
    let options = head.headers().get_all(header::CONNECTION).filter_map(|value| value.to_str().ok());
    let mut options = options.flat_map(|value| value.split(','));
    head.connection_type() == ConnectionType::Close
        || options.any(|option| option.trim_matches([' ', '\t']).eq_ignore_ascii_case("close"))
}
