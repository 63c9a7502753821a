//! One operation of an OpenAPI document, and its request, made from the examples of the document.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::client;

/// The members of a path item that are operations.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// A method at a path.
#[derive(Clone)]
pub(super) struct Operation {
    method: String,
    path: String,
    described: Value,
    /// The scopes that it requires; none for an operation without a token.
    pub(super) scopes: Vec<String>,
}

/// An answer of the service.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// `null` when the body is not JSON.
    pub(super) body: Value,
    text: String,
}

impl Operation {
    /// Every operation of a document.
    pub(super) fn all(document: &Value) -> Vec<Self> {
        let paths = document["paths"].as_object().expect("a document has paths");
        let operations = paths.iter().flat_map(|(path, item)| {
            METHODS.iter().filter_map(move |method| Some(Self::new(method, path, item.get(method)?)))
        });
        operations.collect()
    }

    fn new(method: &str, path: &str, described: &Value) -> Self {
        let scopes = described["security"].as_array().into_iter().flatten();
        let scopes = scopes.flat_map(|requirement| requirement["bearer"].as_array().into_iter().flatten());
        Self {
            method: method.to_uppercase(),
            path: path.to_owned(),
            described: described.clone(),
            scopes: scopes.filter_map(|scope| scope.as_str().map(str::to_owned)).collect(),
        }
    }

    pub(super) fn name(&self) -> (&str, &str) {
        (&self.method, &self.path)
    }

    /// The `HEAD` operation of a `GET`.
    pub(super) fn head(&self) -> Option<Self> {
        (self.method == "GET").then(|| Self { method: "HEAD".to_owned(), ..self.clone() })
    }

    pub(super) fn scopes(&self) -> Vec<&str> {
        self.scopes.iter().map(String::as_str).collect()
    }

    pub(super) fn path_parameters(&self) -> impl Iterator<Item = String> + '_ {
        self.parameters("path").filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
    }

    fn parameters<'a>(&'a self, place: &'a str) -> impl Iterator<Item = &'a Value> + 'a {
        let parameters = self.described["parameters"].as_array().into_iter().flatten();
        parameters.filter(move |parameter| parameter["in"] == place)
    }

    /// Makes a valid request, without a token. A path parameter has the value of the test, or else its example.
    pub(super) fn request(
        &self,
        document: &Value,
        base_url: &str,
        value: impl Fn(&str) -> String,
    ) -> RequestBuilder {
        let mut path = self.path.clone();
        for parameter in self.parameters("path") {
            let name = parameter["name"].as_str().unwrap_or_default();
            let given = value(name);
            let value = if given.is_empty() { example(document, parameter) } else { given };
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        let method = Method::from_bytes(self.method.as_bytes()).expect("a method of the list above");
        let mut request = client().request(method, format!("{base_url}{path}"));
        for parameter in self.parameters("header").filter(|parameter| parameter["required"] == true) {
            request =
                request.header(parameter["name"].as_str().unwrap_or_default(), example(document, parameter));
        }
        match self.described.pointer("/requestBody/content/application~1json") {
            Some(content) => request.json(&example_value(document, content)),
            None => request,
        }
    }
}

impl Answer {
    pub(super) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("the answer is complete");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Self { status, headers, body, text }
    }

    /// Whether this is the answer to `GET` without its body; request id and date may differ.
    pub(super) fn is_the_head_of(&self, get: &Self) -> bool {
        let comparable = |headers: &HeaderMap| {
            let mut headers = headers.clone();
            headers.remove("x-request-id");
            headers.remove("date");
            headers
        };
        let length = get.headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        self.status == get.status
            && self.text.is_empty()
            && length == Some(get.text.len())
            && comparable(&self.headers) == comparable(&get.headers)
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// Whether a caller cannot distinguish the two by status, names of headers, or body.
    pub(super) fn is_the_same_as(&self, other: &Self) -> bool {
        let names = |headers: &HeaderMap| headers.keys().map(ToString::to_string).collect::<BTreeSet<_>>();
        let comparable = |body: &Value| {
            let mut body = body.clone();
            if let Some(members) = body.as_object_mut() {
                members.remove("request_id");
            }
            body
        };
        self.status == other.status
            && names(&self.headers) == names(&other.headers)
            && comparable(&self.body) == comparable(&other.body)
    }
}

fn example(document: &Value, parameter: &Value) -> String {
    match example_value(document, parameter) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The example of a parameter or of a body, or that of its schema, or the first value of its schema.
fn example_value(document: &Value, described: &Value) -> Value {
    let schema = resolve(document, &described["schema"]);
    let candidates = [&described["example"], &schema["example"], &schema["examples"][0], &schema["enum"][0]];
    let found = candidates.into_iter().find(|candidate| !candidate.is_null());
    found.cloned().unwrap_or_else(|| panic!("no example in the document for {described}"))
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema["$ref"].as_str().and_then(|reference| document.pointer(reference.strip_prefix('#')?));
    target.unwrap_or(schema)
}
