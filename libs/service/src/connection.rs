//! What actix leaves open about a connection: when a quiet one ends, and that nothing runs on one that is to be closed.
//!
//! A connection is quiet when no request is being answered on it, and none arrives whole.
//! actix times the head of a connection's first request, and the pause before a later one. It does not time the head of a later
//! request (its timer stops at the first byte), nor the rest of a chunked body that no handler wants, nor a client that does
//! not take its response. With a byte a second, a client could stay at each of these forever.
//!
//! And it runs what was pipelined behind a request with `Connection: close`, or behind a response with it, which RFC 9112, section
//! 9.6, forbids: the client has been told, or has said, that nobody answers it.

use std::{
    any::Any,
    cell::Cell,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use actix_web::{
    dev::{Extensions, RequestHead, ServiceRequest},
    http::{ConnectionType, header},
    rt::net::TcpStream as Stream,
};
use tokio::sync::oneshot;

/// How long the last response of a connection may take to leave when a request was sent behind it. Responses are small and complete, so
/// it is in the socket's buffer at once, unless the client does not read.
const LAST_RESPONSE: Duration = Duration::from_secs(1);

/// One connection, as long as actix has it.
struct Connection {
    /// A second handle of the same socket: actix lends its own only while a connection begins. `None` when there are no descriptors.
    socket: Option<TcpStream>,
    answering: Cell<u32>,
    quiet_since: Cell<Instant>,
    /// No request after the present one may run.
    closing: Cell<bool>,
}

/// Goes away with the connection, and takes the watch with it.
struct Watched {
    connection: Rc<Connection>,
    _watch: oneshot::Sender<()>,
}

/// Watches a connection that begins; to be called on the thread that serves it.
pub(crate) fn watch(io: &dyn Any, data: &mut Extensions, limit: Duration) {
    let Some(stream) = io.downcast_ref::<Stream>() else { return };
    let socket = match stream.as_fd().try_clone_to_owned() {
        Ok(socket) => Some(TcpStream::from(socket)),
        Err(error) => {
            tracing::warn!(%error, "a connection cannot be watched; raise the limit of open files");
            None
        }
    };
    let quiet_since = Cell::new(Instant::now());
    let closing = Cell::new(false);
    let connection = Rc::new(Connection { socket, answering: Cell::new(0), quiet_since, closing });
    let (watch, ended) = oneshot::channel();
    actix_web::rt::spawn(end_when_quiet(Rc::downgrade(&connection), ended, limit));
    data.insert(Watched { connection, _watch: watch });
}

async fn end_when_quiet(connection: Weak<Connection>, mut ended: oneshot::Receiver<()>, limit: Duration) {
    while let Some(remaining) = connection.upgrade().and_then(|connection| connection.remaining(limit)) {
        tokio::select! {
            _ = &mut ended => return,
            () = tokio::time::sleep(remaining) => {}
        }
    }
}

impl Connection {
    /// Returns how long it may still be quiet; ends it when that is over.
    fn remaining(&self, limit: Duration) -> Option<Duration> {
        if self.answering.get() > 0 {
            return Some(limit);
        }
        let remaining = limit.saturating_sub(self.quiet_since.get().elapsed());
        if remaining.is_zero() {
            tracing::debug!("a connection was quiet for too long and is ended");
            self.shut(Shutdown::Both);
            return None;
        }
        Some(remaining)
    }

    fn shut(&self, what: Shutdown) {
        // It fails for a connection that the client has ended, which is what is wanted.
        drop(self.socket.as_ref().map(|socket| socket.shutdown(what)));
    }
}

/// A request is being answered on a connection, until this is dropped.
pub(crate) struct Answering {
    /// `None` for what is no TCP connection.
    connection: Option<Rc<Connection>>,
    /// It is the last one, by its own word or by the server's.
    last: Cell<bool>,
}

impl Answering {
    /// Begins, unless the connection is to be closed: then what is returned instead ends it.
    pub(crate) fn begin(request: &ServiceRequest) -> Result<Self, Closing> {
        let watched = request.request().conn_data::<Watched>();
        let connection = watched.map(|watched| Rc::clone(&watched.connection));
        if let Some(connection) = &connection {
            if connection.closing.get() {
                return Err(Closing(Rc::clone(connection)));
            }
            connection.answering.set(connection.answering.get() + 1);
        }
        let answering = Self { connection, last: Cell::new(false) };
        if asks_to_close(request.head()) {
            answering.be_last();
        }
        Ok(answering)
    }

    /// Has no further request of this connection run.
    pub(crate) fn be_last(&self) {
        self.last.set(true);
        if let Some(connection) = &self.connection {
            connection.closing.set(true);
        }
    }

    /// Whether the response has to say that the connection ends with it. actix forgets that the request asked for it once it has
    /// read the next one.
    pub(crate) fn is_last(&self) -> bool {
        self.last.get()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.answering.set(connection.answering.get() - 1);
            connection.quiet_since.set(Instant::now());
        }
    }
}

/// Whether the client sends nothing more: `close` is one of the options, or it is of HTTP/1.0 and does not ask to stay.
fn asks_to_close(head: &RequestHead) -> bool {
    let options = head.headers().get_all(header::CONNECTION).filter_map(|value| value.to_str().ok());
    let mut options = options.flat_map(|value| value.split(','));
    head.connection_type() == ConnectionType::Close
        || options.any(|option| option.trim_matches([' ', '\t']).eq_ignore_ascii_case("close"))
}

/// A connection with a request on it that must not run.
pub(crate) struct Closing(Rc<Connection>);

impl Closing {
    /// Ends the connection once the response before has had time to leave; actix has no way to end one without another response.
    pub(crate) async fn end(self) {
        let Self(connection) = self;
        connection.shut(Shutdown::Read);
        tokio::time::sleep(LAST_RESPONSE).await;
        connection.shut(Shutdown::Both);
    }
}
