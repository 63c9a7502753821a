//! The admin port: metrics, liveness and readiness, separate from the API.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use actix_web::{
    App, FromRequest, Handler, HttpResponse, HttpServer, Resource,
    dev::ServerHandle,
    http::header::ALLOW,
    web::{self, Data, ServiceConfig},
};
use prometheus::{Encoder as _, TextEncoder};
use serde_json::json;

use crate::{Readiness, metrics::show_clock, task};

/// How long the admin server waits for its last response.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// The running admin server.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    server: ServerHandle,
}

impl Admin {
    /// Binds the port and serves `/metrics`, `/live`, `/ready` and what `pages` adds, on the current tokio runtime.
    pub fn start<F>(address: SocketAddr, readiness: Readiness, pages: F) -> io::Result<Self>
    where
        F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(readiness.clone()))
                .service(page("/metrics", metrics))
                .service(page("/live", live))
                .service(page("/ready", ready))
                .configure(pages.clone())
                .default_service(web::to(HttpResponse::NotFound))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(STOP_TIMEOUT.as_secs())
        .listen(listener)?
        .run();
        let handle = server.handle();
        task::spawn("admin", server);
        Ok(Self { address, server: handle })
    }

    /// Returns the address it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops serving.
    pub async fn stop(self) {
        self.server.stop(true).await;
    }
}

/// A path with `GET` and `HEAD` (RFC 9110, section 9.1) only.
fn page<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args, Output = HttpResponse>,
    Args: FromRequest + 'static,
{
    let other = || async { HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, HEAD")).finish() };
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::to(other))
}

async fn metrics() -> HttpResponse {
    show_clock();
    let mut text = Vec::new();
    match TextEncoder::new().encode(&prometheus::gather(), &mut text) {
        Ok(()) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

async fn ready(readiness: Data<Readiness>) -> HttpResponse {
    let report = readiness.report().await;
    let mut response =
        if report.status.is_ready() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(report)
}
