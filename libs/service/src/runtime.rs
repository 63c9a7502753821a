//! What a service is made of while it runs.

use std::{future::Future, net::SocketAddr};

use actix_web::web;
use anyhow::ensure;
use futures::future::BoxFuture;
use http_api::{Server, server::Options};
use telemetry::Readiness;
use tls::Trust;
use tokio_util::sync::CancellationToken;

use crate::{Config, shutdown::Cause, signals::Signals, workers::Workers};

/// The parts of a running service. `build` adds them; stopping takes them apart in the one right order.
pub struct Runtime {
    pub(crate) config: Config,
    trust: Trust,
    pub(crate) readiness: Readiness,
    strict_transport: bool,
    connections_per_worker: usize,
    pub(crate) api: Option<Server>,
    pub(crate) workers: Workers,
    pub(crate) on_stop: Vec<(&'static str, BoxFuture<'static, ()>)>,
}

impl Runtime {
    pub(crate) fn new(
        config: Config,
        trust: Trust,
        readiness: Readiness,
        connections_per_worker: usize,
    ) -> Self {
        Self {
            config,
            trust,
            readiness,
            strict_transport: false,
            connections_per_worker,
            api: None,
            workers: Workers::default(),
            on_stop: Vec::new(),
        }
    }

    /// Returns the readiness of the process, to add the checks of dependencies to.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Returns the authorities that may vouch for the servers which this process connects to.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Starts a worker. It runs until its token is cancelled, then finishes what it has in hand and returns.
    /// If it returns, fails or panics before that, the whole service shuts down and exits with 1.
    pub fn spawn_worker<F, Fut>(&mut self, name: &'static str, worker: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.workers.spawn(name, worker);
    }

    /// States whether people reach the API over TLS: then responses tell browsers to come back over nothing else (HSTS). To be
    /// called before [`serve_http`](Self::serve_http).
    pub fn reached_over_tls(&mut self, yes: bool) {
        self.strict_transport = yes;
    }

    /// Starts the API on `HTTP_ADDR`. `configure` runs once per thread and adds routes and their data.
    pub fn serve_http<F>(&mut self, configure: F) -> anyhow::Result<()>
    where
        F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        ensure!(self.api.is_none(), "a service has one API; serve_http was called twice");
        let options = Options {
            readiness: self.readiness.clone(),
            strict_transport: self.strict_transport,
            connections_per_worker: self.connections_per_worker,
            drain_timeout: self.config.drain_timeout(),
        };
        self.api = Some(Server::start(&self.config.http, options, configure)?);
        Ok(())
    }

    /// Registers what is to be done when requests and workers are finished, such as closing a pool.
    pub fn on_stop(&mut self, name: &'static str, action: impl Future<Output = ()> + Send + 'static) {
        self.on_stop.push((name, Box::pin(action)));
    }

    /// Says, to probers and in the log, that the service is up.
    pub(crate) fn announce(&self, admin: SocketAddr) {
        self.readiness.set_started();
        let api = self.api.as_ref().map(|api| tracing::field::display(api.address()));
        tracing::info!(http_addr = api, admin_addr = %admin, "listening");
    }

    /// Waits for a reason to stop.
    pub(crate) async fn wait(&mut self, signals: &mut Signals) -> Cause {
        let api = self.api.as_mut();
        let api_ended = async move {
            match api {
                Some(api) => api.failed().await,
                None => std::future::pending().await,
            }
        };
        let (part, error) = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "asked to stop");
                return Cause::Signal;
            }
            end = self.workers.first_end() => end,
            error = api_ended => ("http", error),
        };
        tracing::error!(part, error = format!("{error:#}"), "a part ended by itself; the service stops");
        Cause::Failure
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("config", &self.config)
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}
