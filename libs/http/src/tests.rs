use std::{sync::LazyLock, time::Duration};

use actix_web::{
    App, HttpResponse,
    http::{Method, StatusCode, header::HeaderMap},
    middleware::DefaultHeaders,
    test::{TestRequest, call_service, init_service, read_body},
    web::{Path, ServiceConfig},
};
use api_error::{ApiError, Code};
use auth::{Jwks, SigningKey, TokenRequest, Verifier};
use serde_json::{Value, json};
use telemetry::Environment;

use crate::{Admission, Api, Deprecation, admission, operation};

const V1: Deprecation = Deprecation::new(1_700_000_000, 1_800_000_000, 2);

/// The first version.
#[utoipa::path(
    get, path = "/v1/things/{id}", params(("id" = u32, Path)),
    responses((status = 200, description = "It.", body = String, content_type = "application/json")),
)]
async fn first(id: Path<u32>) -> HttpResponse {
    HttpResponse::Ok().json(format!("first {id}"))
}

/// The second version.
#[utoipa::path(
    get, path = "/v2/things/{id}", params(("id" = u32, Path)),
    responses((status = 200, description = "It.", body = [String])),
)]
async fn second(id: Path<u32>) -> HttpResponse {
    HttpResponse::Ok().json([format!("second {id}")])
}

/// Makes one.
#[utoipa::path(
    post, path = "/v1/things", request_body = String,
    responses((status = 201, description = "Made."), (status = 404, description = "A page.", body = String, content_type = "text/html")),
)]
async fn make() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(Code::Conflict, "It exists."))
}

/// Anything at the root.
#[utoipa::path(
    get, path = "/{any}", params(("any" = String, Path)),
    responses((status = 200, description = "It.", body = String)),
)]
async fn any() -> HttpResponse {
    HttpResponse::Ok().json("any")
}

fn api() -> Api {
    Api::new("things", "1.0.0", "Has things.")
        .operation(operation!(make).scope("things:write").errors(&[Code::NotFound, Code::Conflict]))
        .operation(
            operation!(first).scope("things:read").errors(&[Code::NotFound]).by_header().deprecated(V1),
        )
        .operation(operation!(second).scope("things:read").errors(&[Code::NotFound]).by_header())
        .operation(operation!(any).public("everyone may see these"))
}

fn document() -> Value {
    serde_json::to_value(api().document()).unwrap()
}

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("test"));

/// The API, and what admission needs to know.
fn serve(config: &mut ServiceConfig) {
    let keys = Jwks { keys: vec![KEY.public_jwk(None)] };
    let limits = admission::Config {
        quota_requests_per_second: 1_000,
        quota_burst: 1_000,
        max_requests_in_flight: 100,
    };
    config
        .app_data(Verifier::new(keys, Environment::Local).unwrap())
        .app_data(Admission::new(&limits))
        .configure(|config| api().register(config));
}

fn token() -> String {
    let request = TokenRequest {
        subject: "ada".to_owned(),
        tenant: "acme".parse().unwrap(),
        scopes: vec!["things:read".to_owned(), "things:write".to_owned()],
        ttl: Duration::from_mins(1),
    };
    KEY.sign(&request).unwrap()
}

async fn send(request: TestRequest) -> (StatusCode, HeaderMap) {
    let request = request.insert_header(("Authorization", format!("Bearer {}", token())));
    let app = App::new()
        .configure(api_error::configure)
        .configure(serve)
        .wrap(api_error::error_boundary(Duration::from_secs(5)));
    let response = call_service(&init_service(app).await, request.to_request()).await;
    (response.status(), response.headers().clone())
}

fn request(method: Method, path: &str) -> TestRequest {
    TestRequest::with_uri(path).method(method)
}

#[actix_web::test]
async fn each_documented_method_is_served_and_each_other_gets_405() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let item = item.as_object().unwrap();
        let mut documented: Vec<_> = item.keys().map(|method| method.to_uppercase()).collect();
        if documented.contains(&"GET".to_owned()) {
            documented.push("HEAD".to_owned());
        }
        documented.sort();
        let concrete =
            path.replace("{id}", "1").replace("{code}", "not_found").replace("{file}", "index.css");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            let sent = request(method.parse().unwrap(), &concrete).insert_header(("API-Version", "2"));
            let (status, headers) = send(sent).await;
            let is_documented = documented.iter().any(|documented| documented == method);
            assert_eq!(status != StatusCode::METHOD_NOT_ALLOWED, is_documented, "{method} {path}: {status}");
            if !is_documented {
                let allow = headers.get("allow").unwrap().to_str().unwrap();
                assert_eq!(allow.split(", ").collect::<Vec<_>>(), documented, "{method} {path}");
            }
        }
    }
}

#[actix_web::test]
async fn an_undocumented_query_parameter_is_refused() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete =
            path.replace("{id}", "1").replace("{code}", "not_found").replace("{file}", "index.css");
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase().parse().unwrap();
            let sent = request(method, &format!("{concrete}?unknown=1")).insert_header(("API-Version", "2"));
            let (status, _) = send(sent).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        }
    }
}

#[actix_web::test]
async fn docs_without_a_slash_redirects_to_docs_with_one() {
    let (status, headers) = send(request(Method::GET, "/docs")).await;
    assert_eq!(
        (status, headers.get("location").unwrap().to_str().unwrap()),
        (StatusCode::PERMANENT_REDIRECT, "/docs/")
    );
}

#[test]
fn each_operation_documents_its_errors() {
    let document = document();
    let post = &document["paths"]["/v1/things"]["post"];
    assert_eq!(post["security"], json!([{ "bearer": ["things:write"] }]));
    for status in ["201", "400", "401", "403", "404", "408", "409", "413", "415", "500", "503"] {
        assert!(post["responses"][status].is_object(), "{status}: {post}");
        assert!(post["responses"][status]["headers"]["x-request-id"].is_object(), "{status}: {post}");
    }
    let not_found = &post["responses"]["404"]["content"];
    assert!(not_found["text/html"].is_object() && not_found["application/json"].is_object(), "{not_found}");
    let get = &document["paths"]["/{any}"]["get"];
    assert_eq!((&get["security"], &get["x-public"]), (&json!([]), &json!("everyone may see these")));
    assert!(get["responses"]["401"].is_null());
    assert!(document["info"]["description"].as_str().unwrap().contains("`HEAD`"));
}

#[test]
fn every_reference_in_the_document_resolves() {
    fn check(document: &Value, at: &Value) {
        if let Some(reference) = at.get("$ref").and_then(Value::as_str) {
            assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
        }
        let members = at.as_object().into_iter().flat_map(|members| members.values());
        members.chain(at.as_array().into_iter().flatten()).for_each(|inner| check(document, inner));
    }
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    check(&document, &document);
}

#[test]
fn the_path_without_a_version_documents_the_responses_of_every_version() {
    let document = document();
    let get = &document["paths"]["/things/{id}"]["get"];
    let forms = get["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"].as_array();
    assert_eq!(forms.map(Vec::len), Some(2), "{get}");
    let header =
        get["parameters"].as_array().unwrap().iter().find(|parameter| parameter["in"] == "header").unwrap();
    assert_eq!((&header["name"], &header["schema"]["enum"]), (&json!("API-Version"), &json!(["1", "2"])));
    let unknown = &get["responses"]["404"]["content"]["application/json"]["schema"]["allOf"][1];
    assert_eq!(unknown["properties"]["code"]["enum"], json!(["not_found", "unknown_version"]));
    assert_eq!(document["paths"]["/v1/things/{id}"]["get"]["deprecated"], true);
}

/// Replaces one, without a look at what was there.
#[utoipa::path(
    put, path = "/v1/tagged", request_body = String, responses((status = 200, description = "Replaced.")),
)]
async fn replace() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Shows one, with its tag.
#[utoipa::path(
    get, path = "/v1/tagged",
    responses((status = 200, description = "It.", body = String, headers(("ETag" = String, description = "Its tag.")))),
)]
async fn tagged() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[test]
#[should_panic(expected = "this takes If-Match")]
fn a_resource_with_an_etag_must_take_if_match() {
    Api::new("things", "1.0.0", "Has things.")
        .operation(operation!(tagged).public("a test"))
        .operation(operation!(replace).public("a test"))
        .document();
}

#[test]
fn the_document_is_deterministic() {
    assert_eq!(api().to_json(), api().to_json());
}

#[actix_web::test]
async fn middleware_of_an_operation_applies_by_path_and_by_header() {
    let mark = || DefaultHeaders::new().add(("x-marked", "yes"));
    let api = Api::new("things", "1.0.0", "Has things.")
        .operation(operation!(second).public("a test").by_header().through(move |route| route.wrap(mark())));
    let app = init_service(App::new().configure(|config| api.register(config))).await;
    for path in ["/v2/things/1", "/things/1"] {
        let sent = request(Method::GET, path).insert_header(("API-Version", "2"));
        let response = call_service(&app, sent.to_request()).await;
        assert_eq!(response.headers().get("x-marked").unwrap(), "yes", "{path}");
    }
}

#[actix_web::test]
async fn swagger_ui_loads_nothing_from_another_host() {
    let app = App::new().configure(serve);
    let app = init_service(app).await;
    for path in ["/docs/", "/docs/swagger-initializer.js", "/docs/index.css"] {
        let response = call_service(&app, request(Method::GET, path).to_request()).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("http"), "{policy}");
        let text = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        let other_host =
            text.split(['"', '\'', '(']).find(|part| part.starts_with("http") || part.starts_with("//"));
        assert_eq!(other_host, None, "{path} refers to another host");
    }
}

#[actix_web::test]
async fn every_error_code_has_a_page() {
    let app = App::new().configure(serve);
    let app = init_service(app).await;
    for code in Code::ALL {
        let path = format!("/problems/{code}");
        let body = read_body(call_service(&app, request(Method::GET, &path).to_request()).await).await;
        assert!(body.starts_with(format!("# {code}\n").as_bytes()), "{code}");
    }
}
