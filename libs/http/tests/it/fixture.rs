//! A server with one route of each class, whose handlers wait until the test opens a gate.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    body::SizedStream,
    web::{self, Bytes, Data},
};
use api_error::{ApiError, FromJson, Json, Node};
use auth::{Jwks, SigningKey, TokenRequest, Verifier};
use futures::{FutureExt as _, StreamExt as _, stream};
use http_api::{
    Admission, Caller,
    admission::{Admit, Config},
};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use telemetry::Environment;
use tls::Trust;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};

/// How long anything here may take.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// What the handlers wait for.
struct Gates {
    /// How many handlers have begun.
    begun: AtomicUsize,
    /// Before the response.
    handler: Semaphore,
    /// In the middle of a response's body.
    body: Semaphore,
}

pub(crate) struct Server {
    address: SocketAddr,
    gates: Arc<Gates>,
    key: SigningKey,
    client: Client,
}

impl Server {
    pub(crate) fn start(config: Config) -> Self {
        let key = SigningKey::generate("test");
        let jwks = Jwks { keys: vec![key.public_jwk(None)] };
        let verifier = Verifier::new(jwks, Environment::Local).unwrap();
        let admission = Admission::new(&config);
        let gates = Arc::new(Gates {
            begun: AtomicUsize::new(0),
            handler: Semaphore::new(0),
            body: Semaphore::new(0),
        });
        let data = Data::from(Arc::clone(&gates));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(verifier.clone())
                .app_data(admission.clone())
                .app_data(data.clone())
                .route("/wait", Admit::write("write").protect(web::post().to(wait)))
                .route("/fail", Admit::write("write").protect(web::post().to(fail)))
                .route("/public-stream", Admit::public().protect(web::get().to(stream)))
                .route("/stream", Admit::write("write").protect(web::get().to(stream)))
                .route("/quick", Admit::write("write").protect(web::get().to(HttpResponse::NoContent)))
                .route("/write", Admit::write("write").protect(web::post().to(write)))
                .route("/read", Admit::read("read").protect(web::get().to(HttpResponse::NoContent)))
                .route("/public", Admit::public().protect(web::get().to(HttpResponse::NoContent)))
                .route("/open", web::get().to(HttpResponse::NoContent))
                .wrap(api_error::error_boundary(SOON))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        actix_web::rt::spawn(server.run());
        Self { address, gates, key, client: Trust::none().http().timeout(SOON).build().unwrap() }
    }

    pub(crate) fn token(&self, tenant: &str) -> String {
        self.token_with(tenant, &["read", "write"])
    }

    pub(crate) fn token_with(&self, tenant: &str, scopes: &[&str]) -> String {
        let scopes = scopes.iter().map(ToString::to_string).collect();
        let (subject, ttl) = ("ada".to_owned(), Duration::from_mins(5));
        self.key.sign(&TokenRequest { subject, tenant: tenant.parse().unwrap(), scopes, ttl }).unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("http://{}{path}", self.address))
    }

    /// Sends a request of the tenant `acme`.
    pub(crate) async fn send(&self, method: &str, path: &str) -> Response {
        self.request(method, path).bearer_auth(self.token("acme")).send().await.unwrap()
    }

    /// Sends this many writes, which get no answer before the gate is opened, and waits until all of them are in flight.
    pub(crate) async fn begin_writes(&self, count: usize) -> Vec<JoinHandle<Response>> {
        self.begin_writes_within(SOON, count).await
    }

    /// The same, with this much time for each.
    pub(crate) async fn begin_writes_within(
        &self,
        limit: Duration,
        count: usize,
    ) -> Vec<JoinHandle<Response>> {
        let request = || {
            let request = self.request("POST", "/wait").bearer_auth(self.token("acme"));
            request.header("x-request-deadline-ms", limit.as_millis().to_string()).send()
        };
        let begun = (0..count).map(|_| tokio::spawn(request().map(Result::unwrap))).collect();
        until(async || (self.gates.begun.load(Ordering::Relaxed) == count).then_some(())).await;
        begun
    }

    /// Sends this many requests to `/fail`, as [`Self::begin_writes`].
    pub(crate) async fn begin_failures(&self, count: usize) -> Vec<JoinHandle<Response>> {
        let request = || self.request("POST", "/fail").bearer_auth(self.token("acme")).send();
        let begun = (0..count).map(|_| tokio::spawn(request().map(Result::unwrap))).collect();
        until(async || (self.gates.begun.load(Ordering::Relaxed) == count).then_some(())).await;
        begun
    }

    /// Waits until another write is admitted.
    pub(crate) async fn until_free(&self) {
        until(async || self.send("GET", "/quick").await.status().is_success().then_some(())).await;
    }

    pub(crate) fn open_handler(&self) {
        self.gates.handler.add_permits(1_000);
    }

    pub(crate) fn open_body(&self) {
        self.gates.body.add_permits(1_000);
    }

    /// Sends the head of a request that has a body, but not the body; returns the status of the answer.
    pub(crate) async fn send_head(&self, path: &str, authorization: &str) -> u16 {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\n{authorization}content-type: application/json\r\n\
             content-length: 60000\r\n\r\n"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        timeout(SOON, stream.read_exact(&mut answer)).await.expect("an answer, without the body").unwrap();
        std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
    }
}

async fn until(condition: impl AsyncFn() -> Option<()>) {
    let holds = async {
        while condition().await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, holds).await.expect("the condition never held");
}

pub(crate) async fn error(response: Response, status: u16, code: &str) -> (u64, Value) {
    assert_eq!(response.status(), status, "{response:?}");
    let retry_after = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["code"], code, "{body}");
    (retry_after, body)
}

async fn wait(gates: Data<Gates>) -> HttpResponse {
    gates.begun.fetch_add(1, Ordering::Relaxed);
    gates.handler.acquire().await.unwrap().forget();
    HttpResponse::NoContent().finish()
}

/// As [`wait`], and then there was no connection to the database in time.
async fn fail(gates: Data<Gates>) -> Result<HttpResponse, ApiError> {
    wait(gates).await;
    Err(ApiError::unavailable("PostgreSQL").with_overload())
}

/// A response whose body stops in the middle.
async fn stream(gates: Data<Gates>) -> HttpResponse {
    let begin = stream::once(async { Ok::<_, ApiError>(Bytes::from_static(b"begin ")) });
    let end = stream::once(async move {
        gates.body.acquire().await.unwrap().forget();
        Ok(Bytes::from_static(b"end"))
    });
    HttpResponse::Ok().body(SizedStream::new(9, begin.chain(end).boxed_local()))
}

struct Anything;

impl FromJson for Anything {
    fn from_json(_: Node<'_>) -> Option<Self> {
        Some(Self)
    }
}

async fn write(caller: Caller, body: Json<Anything>) -> String {
    format!("{} {}", caller.tenant, body.raw().len())
}
