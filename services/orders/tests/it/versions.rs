//! Versions of the API: selected by path or header, and announced before their removal.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use testkit::client;

use crate::app::{App, id, order};

/// A request with the scope `orders:read`.
fn request(app: &App, method: Method, path: &str) -> RequestBuilder {
    client().request(method, app.url(path)).bearer_auth(app.token())
}

async fn get(app: &App, path: &str) -> Response {
    request(app, Method::GET, path).send().await.unwrap()
}

async fn json(response: Response) -> Value {
    response.json().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn links(response: &Response) -> Vec<&str> {
    response.headers().get_all("link").iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn version_2_differs_only_in_amounts_with_currency() {
    let app = App::start().await;
    let placed = app.place(&order("TEA", 2)).await;
    let mut expected = app.settled(id(&placed)).await;
    let members = expected.as_object_mut().unwrap();
    members.remove("total_minor");
    members.remove("currency");
    members.insert("total".to_owned(), json!({ "amount": 998, "currency": "EUR" }));
    expected["lines"] = json!([{
        "sku": "TEA", "name": "Tea", "quantity": 2,
        "unit_price": { "amount": 499, "currency": "EUR" },
        "total": { "amount": 998, "currency": "EUR" },
    }]);

    let response = get(&app, &format!("/v2/orders/{}", id(&placed))).await;

    assert_eq!(response.status(), StatusCode::OK);
    for name in ["deprecation", "sunset", "link"] {
        assert!(!response.headers().contains_key(name), "the newest version is not deprecated");
    }
    assert_eq!(json(response).await, expected);
}

#[tokio::test]
async fn version_1_announces_its_sunset_and_its_successor() {
    let app = App::start().await;
    let placed = app.place(&order("TEA", 1)).await;
    let unknown = uuid::Uuid::now_v7().to_string();
    for (id, status) in [(id(&placed), StatusCode::OK), (&unknown, StatusCode::NOT_FOUND)] {
        let response = get(&app, &format!("/v1/orders/{id}")).await;
        assert_eq!(response.status(), status);
        assert_eq!(header(&response, "deprecation"), "@1795564800");
        assert_eq!(header(&response, "sunset"), "Thu, 01 Jul 2027 00:00:00 GMT");
        let successor = format!("</v2/orders/{id}>; rel=\"successor-version\"");
        let policy = "</docs/versioning>; rel=\"deprecation\"; type=\"text/plain\"";
        assert_eq!(links(&response), [successor.as_str(), policy]);
    }
    let policy = client().get(app.url("/docs/versioning")).send().await.unwrap();
    assert!(policy.text().await.unwrap().contains("# Versions"));
}

#[tokio::test]
async fn the_location_of_a_new_order_has_the_version_of_the_request() {
    let app = App::start().await;
    let response = app.post("key", &order("TEA", 1)).await;
    let location = header(&response, "location").to_owned();
    let placed = json(response).await;
    let found = json(get(&app, &location).await).await;
    let names = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&placed), "{location}");
}

#[tokio::test]
async fn a_header_selects_the_version_of_a_path_without_one() {
    let app = App::start().await;
    let placed = app.place(&order("TEA", 1)).await;
    let settled = app.settled(id(&placed)).await;
    let path = format!("/orders/{}", id(&placed));
    for version in ["1", "2"] {
        let by_header =
            request(&app, Method::GET, &path).header("API-Version", version).send().await.unwrap();
        assert_eq!(by_header.status(), StatusCode::OK);
        assert_eq!(header(&by_header, "vary"), "API-Version");
        assert_eq!(by_header.headers().contains_key("deprecation"), version == "1");
        let by_path = get(&app, &format!("/v{version}{path}")).await;
        assert_eq!(json(by_header).await, json(by_path).await);
    }
    assert_eq!(json(get(&app, &format!("/v1{path}")).await).await, settled);
}

#[tokio::test]
async fn a_request_without_a_version_is_refused() {
    let app = App::start().await;
    let response = get(&app, "/orders/0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let vary: Vec<_> =
        response.headers().get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(BTreeSet::from_iter(vary), BTreeSet::from(["API-Version", "accept"]));
    let error = json(response).await;
    assert_eq!(error["code"], "missing_version");
    assert_eq!(error["details"][0]["pointer"], "/header/API-Version");
    assert!(error["message"].as_str().unwrap().contains("1, 2"), "{error}");
}

#[tokio::test]
async fn an_unknown_version_is_refused_and_the_known_ones_are_named() {
    let app = App::start().await;
    let order = "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11";
    let by_header = |version: &str| {
        request(&app, Method::GET, &format!("/orders/{order}")).header("API-Version", version)
    };
    for (request, known) in [
        (request(&app, Method::GET, &format!("/v9/orders/{order}")), "The versions are 1, 2."),
        (request(&app, Method::GET, &format!("/v3/orders/{order}")), "The versions are 1, 2."),
        (request(&app, Method::POST, "/v2/orders"), "The versions are 1."),
        (by_header("9"), "The versions are 1, 2."),
        (by_header("v1"), "The versions are 1, 2."),
        (by_header("1").header("API-Version", "2"), "The versions are 1, 2."),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let error = json(response).await;
        assert_eq!(error["code"], "unknown_version", "{error}");
        assert!(error["message"].as_str().unwrap().ends_with(known), "{error}");
    }
    for path in ["/v9/nothing", "/v01/orders/x", "/v9", "/vx/orders/x"] {
        assert_eq!(json(get(&app, path).await).await["code"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn another_method_is_refused_with_and_without_a_version() {
    let app = App::start().await;
    let order = "0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11";
    for path in [format!("/v2/orders/{order}"), format!("/orders/{order}")] {
        let response = request(&app, Method::DELETE, &path).header("API-Version", "2").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(header(&response, "allow"), "GET, HEAD", "{path}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_version() {
    let app = App::start().await;
    let placed = app.place(&order("TEA", 1)).await;
    for version in ["1", "2", "2"] {
        get(&app, &format!("/v{version}/orders/{}", id(&placed))).await;
    }
    let by_header =
        request(&app, Method::GET, &format!("/orders/{}", id(&placed))).header("API-Version", "1");
    by_header.send().await.unwrap();
    let metrics = client().get(format!("{}/metrics", app.process.admin_url())).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for version in ["1", "2"] {
        let line =
            format!("http_requests_by_version_total{{path=\"/orders/{{id}}\",version=\"{version}\"}} 2");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}
