//! Opens connections on the runtime that made the pool.

use std::{future::Future, pin::Pin};

use deadpool_postgres::{ConfigConnectImpl, Connect};
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::context::TokioContext;

/// Opens connections inside one runtime, whoever asks for them.
///
/// A connection lives in the runtime that opened it. An HTTP server has one per thread, which ends when the server stops,
/// and would take the connections with it that workers still need to drain.
pub(crate) struct OnRuntime {
    pub(crate) runtime: Handle,
    pub(crate) tls: MakeRustlsConnect,
}

impl Connect for OnRuntime {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        let (config, runtime, tls) = (config.clone(), self.runtime.clone(), self.tls.clone());
        let connecting = async move { ConfigConnectImpl { tls }.connect(&config).await };
        Box::pin(TokioContext::new(connecting, runtime))
    }
}
