//! Ends connections that are quiet for too long: no request is being answered on them, and none arrives whole.
//!
//! actix times the head of a connection's first request, and the pause before a later one. It does not time the head of a later
//! request (its timer stops at the first byte), nor the rest of a chunked body that no handler wants, nor a client that does
//! not take its response. With a byte a second, a client could stay at each of these forever.

use std::{
    any::Any,
    cell::Cell,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use actix_web::{
    dev::{Extensions, ServiceRequest},
    rt::net::TcpStream as Stream,
};
use tokio::sync::oneshot;

/// One connection, as long as actix has it.
struct Connection {
    /// A second handle of the same socket: actix lends its own only while a connection begins.
    socket: TcpStream,
    answering: Cell<u32>,
    quiet_since: Cell<Instant>,
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
        Ok(socket) => TcpStream::from(socket),
        Err(error) => {
            tracing::warn!(%error, "a connection cannot be watched; raise the limit of open files");
            return;
        }
    };
    let quiet_since = Cell::new(Instant::now());
    let connection = Rc::new(Connection { socket, answering: Cell::new(0), quiet_since });
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
            // It fails for a connection that the client has ended, which is what is wanted.
            drop(self.socket.shutdown(Shutdown::Both));
            return None;
        }
        Some(remaining)
    }
}

/// A request is being answered on a connection, until this is dropped.
pub(crate) struct Answering(Option<Rc<Connection>>);

impl Answering {
    pub(crate) fn begin(request: &ServiceRequest) -> Self {
        let watched = request.request().conn_data::<Watched>();
        let connection = watched.map(|watched| Rc::clone(&watched.connection));
        if let Some(connection) = &connection {
            connection.answering.set(connection.answering.get() + 1);
        }
        Self(connection)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.answering.set(connection.answering.get() - 1);
            connection.quiet_since.set(Instant::now());
        }
    }
}
