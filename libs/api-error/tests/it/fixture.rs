//! An application with a route for each kind of failure, and a client for it.

use std::{net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::{ServiceFactory, ServiceRequest},
    error::ErrorBadRequest,
    http::StatusCode,
    web,
};
use api_error::{
    ApiError, Code, FromJson, FromQuery, Json, JsonLimit, Members, Node, Parameters, Query,
    method_not_allowed,
};
use reqwest::{Client, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::Value;
use tls::Trust;

pub(crate) const MAX_BYTES: usize = 1_024;
pub(crate) const DEADLINE: Duration = Duration::from_millis(800);
pub(crate) const READ_TIMEOUT: Duration = Duration::from_millis(200);
pub(crate) const SECRET: &str = "password=hunter2.";

pub(crate) struct Order;

impl FromJson for Order {
    fn from_json(value: Node<'_>) -> Option<Self> {
        value.object(|order| {
            let customer_email = order.required_text::<String>("customer_email");
            let lines =
                order.required("lines", |lines| lines.array(0..=50, |_, line| line.object(read_line)));
            customer_email.and(lines).map(|_| Self)
        })
    }
}

fn read_line(line: &mut Members<'_>) -> Option<(String, i32)> {
    let sku = line.required_text("sku");
    let quantity = line.required("quantity", |quantity| quantity.integer(1..=1_000));
    Some((sku?, quantity?))
}

/// Any body within the limits.
pub(crate) struct Anything;

impl FromJson for Anything {
    fn from_json(_: Node<'_>) -> Option<Self> {
        Some(Self)
    }
}

pub(crate) struct Page;

impl FromQuery for Page {
    fn from_query(parameters: &mut Parameters<'_>) -> Option<Self> {
        let size = parameters.optional::<u8>("size");
        let text = parameters.optional::<String>("text");
        size.and(text).map(|_| Self)
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only parsing it matters")]
struct ForeignPage {
    size: u8,
}

pub(crate) fn app() -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse<impl actix_web::body::MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .configure(api_error::configure)
        .app_data(JsonLimit { max_bytes: MAX_BYTES, read_timeout: READ_TIMEOUT })
        .configure(routes)
        .wrap(api_error::error_boundary(DEADLINE))
}

#[expect(clippy::disallowed_methods, reason = "no service, and nothing to document")]
fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/orders")
                .route(
                    web::post().to(async |order: Json<Order>| HttpResponse::Ok().body(order.raw().clone())),
                )
                .default_service(method_not_allowed("POST")),
        )
        .route("/items/{id}", web::get().to(async |_: web::Path<u32>| HttpResponse::Ok()))
        .service(
            web::resource("/any")
                .app_data(JsonLimit { max_bytes: 64 * 1024, ..JsonLimit::default() })
                .route(web::post().to(async |_: Json<Anything>| HttpResponse::Ok()))
                .route(web::put().to(async |_: Json<Anything>| HttpResponse::Ok())),
        )
        .route("/remaining", web::get().to(remaining))
        .route("/pages", web::get().to(async |_: web::Query<ForeignPage>| HttpResponse::Ok()))
        .route("/strict-pages", web::get().to(async |_: Query<Page>| HttpResponse::Ok()))
        .route("/id", web::get().to(HttpResponse::Ok))
        .route("/codes/{name}", web::get().to(raise))
        .route("/panic", web::get().to(panicking))
        .route("/slow", web::get().to(async || std::future::pending::<HttpResponse>().await))
        .route("/broken", web::get().to(async || Err::<HttpResponse, _>(ApiError::internal(SECRET))))
        .route("/foreign", web::get().to(async || Err::<HttpResponse, _>(ErrorBadRequest("a text of actix"))))
        .route("/bare", web::get().to(async || HttpResponse::new(StatusCode::CONFLICT)))
        .route(
            "/html",
            web::get().to(async || HttpResponse::NotFound().content_type("text/html").body("<p>gone")),
        );
}

async fn raise(name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let code = Code::ALL.iter().find(|code| code.as_str() == name.as_str()).unwrap();
    Err(ApiError::new(*code, SECRET).with_detail("/there", "is wrong").with_source(SECRET))
}

async fn remaining() -> String {
    pg::deadline::remaining().unwrap().as_millis().to_string()
}

async fn panicking(request: HttpRequest) -> HttpResponse {
    assert_ne!(request.path(), "/panic", "{SECRET}");
    HttpResponse::NoContent().finish()
}

pub(crate) struct Server {
    pub address: SocketAddr,
    client: Client,
}

impl Server {
    pub(crate) fn start() -> Self {
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        actix_web::rt::spawn(server.run());
        Self { address, client: Trust::none().http().timeout(Duration::from_secs(10)).build().unwrap() }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) fn method(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(method.parse().unwrap(), self.url(path))
    }

    pub(crate) fn order(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(self.url("/orders")).header("content-type", "application/json").body(body)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Checks what every failure has in common, and returns its body.
pub(crate) async fn failure(request: RequestBuilder, status: u16, code: &str) -> Value {
    let response = request.send().await.unwrap();
    let id = header(&response, "x-request-id").unwrap();
    assert_eq!(response.status(), status, "{code}");
    assert_eq!(header(&response, "content-type").unwrap(), "application/json", "{code}");
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["code"], code);
    assert_eq!(body["request_id"], id);
    assert!(body["message"].as_str().unwrap().ends_with('.'), "{body}");
    assert!(!body.to_string().contains("hunter2") || status < 500, "{body}");
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["code", "details", "message", "request_id"]);
    body
}

pub(crate) fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}
