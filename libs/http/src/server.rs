//! The HTTP server of a service: listener, connection limits, timeouts, and the middleware around every API.

mod connection;
mod cors;
mod https;
mod response_headers;

use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    rc::Rc,
    time::Duration,
};

use actix_web::{
    App, Error, HttpResponse, HttpServer,
    body::{EitherBody, MessageBody},
    dev::{ServerHandle, ServiceRequest, ServiceResponse},
    http::ConnectionType,
    middleware::{Next, from_fn},
    web,
};
use anyhow::{Context as _, ensure};
use telemetry::{Readiness, request_telemetry};
use tokio::task::JoinHandle;

pub use self::cors::{InvalidOrigin, Origin};
use self::{connection::RequestInFlight, cors::Cors, https::Https, response_headers::ResponseHeaders};
use crate::{Admission, caller};

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the close of a connection may take.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections that wait in the kernel until a thread accepts them; handshakes beyond it are not answered. The kernel takes no more than
/// `net.core.somaxconn` (4,096 by default).
const BACKLOG: i32 = 1_024;

/// The settings of the server.
#[derive(Clone, Debug, clap::Args)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// Address of the API without TLS, for a service that has an API. Port 0 takes any free port.
    #[arg(long, env = "HTTP_ADDR", value_name = "IP:PORT")]
    pub http_addr: Option<SocketAddr>,

    #[command(flatten)]
    https: https::Config,

    /// Threads that serve the API; by default one per core.
    #[arg(long, env = "HTTP_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub http_workers: Option<u16>,

    /// How long a handler may take before the client gets 503 `deadline_exceeded`. A client can set a shorter time with
    /// `x-request-deadline-ms`.
    #[arg(long, env = "REQUEST_TIMEOUT_MS", value_name = "MS", default_value_t = 5_000)]
    pub request_timeout_ms: u64,

    /// How long an idle connection stays open for its next request. Use a longer time than the idle timeout of a load balancer in front,
    /// which would otherwise send requests on closed connections.
    #[arg(long, env = "HTTP_KEEP_ALIVE_MS", value_name = "MS", default_value_t = 75_000)]
    pub http_keep_alive_ms: u64,

    /// Origins whose pages may call the API from a browser, separated by commas. None by default; wildcards are not supported.
    #[arg(long, env = "CORS_ALLOWED_ORIGINS", value_name = "ORIGINS", value_delimiter = ',')]
    pub cors_allowed_origins: Vec<Origin>,
}

impl Config {
    /// Returns how long a handler may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Returns the number of threads that serve the API.
    pub fn workers(&self) -> usize {
        self.http_workers
            .map_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get), usize::from)
    }
}

/// What the rest of the process decides about its server.
#[derive(Clone)]
pub struct Options {
    /// While it is draining, each response closes its connection.
    pub readiness: Readiness,
    /// Clients reach the API over TLS: responses carry `Strict-Transport-Security`.
    pub strict_transport: bool,
    /// Open connections per thread; further ones wait in the backlog.
    pub connections_per_worker: usize,
    /// How long connections may take to finish when the server stops.
    pub drain_timeout: Duration,
}

/// A running HTTP server.
#[derive(Debug)]
pub struct Server {
    http: Option<SocketAddr>,
    https: Option<SocketAddr>,
    handle: ServerHandle,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    /// Binds `HTTP_ADDR` and `HTTPS_ADDR` and serves on them. `configure` runs once per thread and adds routes and their data.
    ///
    /// # Errors
    /// Neither is set, an address cannot be bound, or the certificate cannot be loaded.
    pub fn start<F>(config: &Config, options: Options, configure: F) -> anyhow::Result<Self>
    where
        F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        let https = Https::load(&config.https)?;
        ensure!(
            config.http_addr.is_some() || https.is_some(),
            "this service has an API; set HTTP_ADDR or HTTPS_ADDR to its address"
        );
        let (mut http_addr, mut https_addr) = (None, None);
        let request_timeout = config.request_timeout();
        let cors = Cors(config.cors_allowed_origins.clone());
        let keep_alive = Duration::from_millis(config.http_keep_alive_ms);
        let Options { readiness, strict_transport, connections_per_worker, drain_timeout } = options;
        let mut server = HttpServer::new(move || {
            let headers = ResponseHeaders { cors: Rc::new(cors.clone()), strict_transport };
            let readiness = readiness.clone();
            App::new()
                .configure(api_error::configure)
                .configure(configure.clone())
                .wrap(api_error::error_boundary(request_timeout))
                .wrap(from_fn(move |request, next| headers.clone().handle(request, next)))
                .wrap(request_telemetry(is_authenticated))
                .wrap(from_fn(move |request, next| track_connection(readiness.clone(), request, next)))
        })
        .workers(config.workers())
        .max_connections(connections_per_worker)
        .keep_alive(keep_alive)
        .on_connect(move |io, data| connection::watch(io, data, keep_alive + HEAD_TIMEOUT))
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .shutdown_timeout(drain_timeout.as_secs().max(1))
        .disable_signals();
        if let Some(address) = config.http_addr {
            let listener = bind(address, "HTTP_ADDR")?;
            http_addr = Some(listener.local_addr()?);
            server = server.listen(listener)?;
        }
        if let Some(https) = &https {
            let listener = bind(https.address, "HTTPS_ADDR")?;
            https_addr = Some(listener.local_addr()?);
            server = server.listen_rustls_0_23(listener, https.server_config())?;
        }
        let server = server.run();
        let handle = server.handle();
        let serving = telemetry::task::spawn("http", async move {
            let Some(https) = https else { return Ok(server.await?) };
            tokio::select! {
                served = server => Ok(served?),
                reloaded = https.reload() => match reloaded? {},
            }
        });
        Ok(Self { http: http_addr, https: https_addr, handle, serving })
    }

    /// Returns the address without TLS that it is bound to.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Returns the address with TLS that it is bound to.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https
    }

    /// Waits until the server ends without [`Server::stop`], and returns the reason.
    pub async fn failed(&mut self) -> anyhow::Error {
        match (&mut self.serving).await {
            Ok(Ok(())) => anyhow::anyhow!("the server returned before it was stopped"),
            Ok(Err(error)) => error,
            Err(error) => error.into(),
        }
    }

    /// Stops accepting connections, and waits for the requests in flight up to the limit. Returns whether all were answered.
    pub async fn stop(self, limit: Duration) -> bool {
        if tokio::time::timeout(limit, self.handle.stop(true)).await.is_ok() {
            return true;
        }
        self.serving.abort();
        false
    }
}

fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot bind {address}; set {setting} to a free address"))?;
    // The standard library listens with its own backlog, and actix does not change that of a listening socket.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// The trace of an authenticated caller is continued, and its baggage passed on. The verified token is kept, so the handler's `Caller` costs nothing.
/// An overloaded process checks no signatures.
fn is_authenticated(request: &ServiceRequest) -> bool {
    let is_shedding = request.app_data::<Admission>().is_some_and(Admission::is_shedding);
    !is_shedding && caller::authenticate(request.request()).is_ok()
}

/// Counts the request in flight on its connection, and puts `Connection: close` on the last response.
///
/// While the service drains, every response is the last one: clients open their next connection at another replica while this one still
/// serves. A connection that stays open until the server stops can have a request on its way at that moment.
async fn track_connection<B: MessageBody>(
    readiness: Readiness,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let in_flight = match RequestInFlight::begin(&request) {
        Ok(in_flight) => in_flight,
        Err(closing) => {
            closing.close().await;
            // The connection is closed, so this response is not sent.
            let response = HttpResponse::BadRequest().force_close().finish();
            return Ok(request.into_response(response).map_into_right_body());
        }
    };
    let response = next.call(request).await;
    if readiness.is_draining() {
        in_flight.set_last();
    }
    let mut response = response?;
    if in_flight.is_last() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_into_left_body())
}
