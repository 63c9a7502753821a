//! The parts of a running service.

use std::{future::Future, net::SocketAddr};

use actix_web::web;
use anyhow::ensure;
use futures::future::BoxFuture;
use http_api::{Server, server::Options};
use telemetry::Readiness;
use tls::Trust;
use tokio_util::sync::CancellationToken;

use crate::{
    Config,
    shutdown::{Cause, Signals},
    workers::Workers,
};

/// The parts of a running service: `build` adds them, and shutdown stops them in a fixed order.
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

    /// Returns the certificate authorities for outbound connections.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Starts a worker. When its token is cancelled, it finishes its current work and returns. If it returns, fails or panics before that, the
    /// service shuts down and exits with 1.
    pub fn spawn_worker<F, Fut>(&mut self, name: &'static str, worker: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.workers.spawn(name, worker);
    }

    /// Sets whether clients reach the API over TLS: responses then have `Strict-Transport-Security`. Call it before
    /// [`serve_http`](Self::serve_http).
    pub fn reached_over_tls(&mut self, yes: bool) {
        self.strict_transport = yes;
    }

    /// Starts the API on `HTTP_ADDR` and `HTTPS_ADDR`. `configure` runs once per thread and adds routes and their data.
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

    /// Registers an action for the end of shutdown, after requests and workers, such as closing a pool.
    pub fn on_stop(&mut self, name: &'static str, action: impl Future<Output = ()> + Send + 'static) {
        self.on_stop.push((name, Box::pin(action)));
    }

    pub(crate) fn announce(&self, admin: SocketAddr) {
        self.readiness.set_started();
        let http = self.api.as_ref().and_then(Server::http).map(tracing::field::display);
        let https = self.api.as_ref().and_then(Server::https).map(tracing::field::display);
        tracing::info!(http_addr = http, https_addr = https, admin_addr = %admin, "listening");
    }

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
                tracing::info!(signal, "signal received, shutting down");
                return Cause::Signal;
            }
            end = self.workers.first_end() => end,
            error = api_ended => ("http", error),
        };
        tracing::error!(part, error = format!("{error:#}"), "a part of the service ended; shutting down");
        Cause::Failure
    }
}
