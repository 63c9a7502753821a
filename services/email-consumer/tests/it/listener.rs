//! A listener for a server that a test plays.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// Serves every connection in a task of its own. No more are accepted once this value is gone.
pub(crate) struct Listener {
    pub(crate) addr: SocketAddr,
    accepting: AbortHandle,
}

impl Listener {
    pub(crate) async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        })
        .abort_handle();
        Self { addr, accepting }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
