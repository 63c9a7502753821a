//! The requests that clients of Muster send.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    connections::{Request, get},
    reconcile::Line,
};

/// Makes requests with one bearer token.
#[derive(Clone, Debug)]
pub struct Api {
    authorization: HeaderValue,
}

impl Api {
    /// Makes the requests of the token's tenant.
    pub(crate) fn new(token: &str) -> anyhow::Result<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}"))
            .context("the token has characters that a header cannot have")?;
        // `Debug` does not show it.
        authorization.set_sensitive(true);
        Ok(Self { authorization })
    }

    /// `POST /v1/orders` under an idempotency key. The same arguments give the same request.
    pub fn place_order(&self, key: Uuid, customer: &str, lines: &[Line]) -> Request {
        let mut request = self.with_json(Method::POST, "/v1/orders", &order_body(customer, lines));
        let key = HeaderValue::from_str(&key.to_string()).expect("a UUID is a header value");
        request.headers_mut().insert("idempotency-key", key);
        request
    }

    /// `GET /v1/orders/{id}`.
    pub fn read_order(&self, id: Uuid) -> Request {
        self.get(&format!("/v1/orders/{id}")).expect("hexadecimal digits are part of a URI")
    }

    /// `PUT /v1/links/{code}`. The code is made of letters, digits and hyphens.
    pub fn put_link(&self, code: &str, target: &str) -> Request {
        self.with_json(Method::PUT, &format!("/v1/links/{code}"), &json!({ "target": target }))
    }

    /// A GET that needs the token.
    pub fn get(&self, path_and_query: &str) -> anyhow::Result<Request> {
        let mut request = get(path_and_query)?;
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        Ok(request)
    }

    fn with_json(&self, method: Method, path: &str, body: &serde_json::Value) -> Request {
        let mut request = self.get(path).expect("letters, digits, hyphens and slashes are a URI");
        *request.method_mut() = method;
        *request.body_mut() = Full::new(Bytes::from(body.to_string()));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }
}

/// The body of `POST /v1/orders`.
pub fn order_body(customer: &str, lines: &[Line]) -> serde_json::Value {
    json!({ "customer_email": customer, "lines": lines })
}
