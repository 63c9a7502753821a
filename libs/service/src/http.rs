//! The API server: its limits, and the middleware that is the same for every service.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    time::Duration,
};

use actix_web::{
    App, Error, HttpResponse, HttpServer,
    dev::{ServerHandle, Service as _, ServiceRequest, ServiceResponse},
    http::ConnectionType,
    web,
};
use anyhow::Context as _;
use telemetry::{Readiness, RequestTelemetry};
use tokio::task::JoinHandle;

use crate::{
    Config,
    connection::{self, Answering},
    cors::Cors,
    response_headers::ResponseHeaders,
};

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is being closed may take.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections that wait in the kernel until a thread takes them; the handshakes of further ones are not answered. The kernel takes
/// no more than `net.core.somaxconn` (4,096 unless somebody changed it).
const BACKLOG: i32 = 1_024;

/// What the rest of the process decides about its API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// People reach the API over TLS, see [`Runtime::reached_over_tls`](crate::Runtime::reached_over_tls).
    pub(crate) strict_transport: bool,
    /// Open connections per thread; further ones wait in the backlog.
    pub(crate) connections_per_worker: usize,
}

/// A running API server.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
}

impl Api {
    pub(crate) fn start<F>(
        config: &Config,
        readiness: &Readiness,
        limits: Limits,
        configure: F,
    ) -> anyhow::Result<Self>
    where
        F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        let address = config.http_addr.context("this service has an API; set HTTP_ADDR to its address")?;
        let listener = TcpListener::bind(address)
            .with_context(|| format!("cannot bind {address}; set HTTP_ADDR to a free address"))?;
        // The standard library listens with a backlog of its own, and actix leaves a socket that listens as it is.
        rustix::net::listen(&listener, BACKLOG)?;
        let address = listener.local_addr()?;
        let deadline = config.request_timeout();
        let cors = Cors::new(config.cors_allowed_origins.clone());
        let max_quiet = config.keep_alive() + HEAD_TIMEOUT;
        let readiness = readiness.clone();
        let server = HttpServer::new(move || {
            App::new()
                .configure(api_error::configure)
                .configure(configure.clone())
                .wrap(api_error::Edge::new(deadline))
                .wrap(ResponseHeaders {
                    cors: Rc::new(cors.clone()),
                    strict_transport: limits.strict_transport,
                })
                .wrap(RequestTelemetry::new(is_authenticated))
                .wrap_fn({
                    let readiness = readiness.clone();
                    move |request, service| {
                        let begun = Answering::begin(&request);
                        // What must not run is not even passed on.
                        let handled = match begun {
                            Ok(answering) => Ok((answering, service.call(request))),
                            Err(closing) => Err((closing, request)),
                        };
                        let readiness = readiness.clone();
                        async move {
                            match handled {
                                Ok((answering, handled)) => part(&readiness, &answering, handled)
                                    .await
                                    .map(ServiceResponse::map_into_left_body),
                                Err((closing, request)) => {
                                    closing.end().await;
                                    // Nobody gets it, for the connection has ended.
                                    let response = HttpResponse::BadRequest().force_close().finish();
                                    Ok(request.into_response(response).map_into_right_body())
                                }
                            }
                        }
                    }
                })
        })
        .workers(config.http_workers())
        .max_connections(limits.connections_per_worker)
        .keep_alive(config.keep_alive())
        .on_connect(move |io, data| connection::watch(io, data, max_quiet))
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .shutdown_timeout(config.drain_timeout().as_secs().max(1))
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        Ok(Self { address, handle, serving: telemetry::task::spawn("http", server) })
    }

    /// Waits until the server ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.serving).await {
            Ok(Ok(())) => anyhow::anyhow!("it returned although nobody told it to stop"),
            Ok(Err(error)) => error.into(),
            Err(error) => error.into(),
        }
    }

    /// Stops accepting, and waits for the requests that are there, for no longer than the limit; returns whether all
    /// were answered.
    pub(crate) async fn stop(self, limit: Duration) -> bool {
        if tokio::time::timeout(limit, self.handle.stop(true)).await.is_ok() {
            return true;
        }
        self.serving.abort();
        false
    }
}

/// Whose trace is continued. The token is verified once per request: who needs the caller later finds it.
fn is_authenticated(request: &ServiceRequest) -> bool {
    auth::authenticate(request.request()).is_ok()
}

/// Has the last response of a connection say that it is the last.
///
/// So is any response while the service drains: clients open their next connection elsewhere while the last one here is still served.
/// One that is closed only when the API stops can have a request on its way at that moment.
async fn part<B>(
    readiness: &Readiness,
    answering: &Answering,
    response: impl Future<Output = Result<ServiceResponse<B>, Error>>,
) -> Result<ServiceResponse<B>, Error> {
    let response = response.await;
    if readiness.is_draining() {
        answering.be_last();
    }
    let mut response = response?;
    if answering.is_last() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}
