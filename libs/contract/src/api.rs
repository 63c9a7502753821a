//! The table of operations, and the routes that come from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use actix_web::{
    Error, HttpRequest, HttpResponse, Resource, Route,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    guard,
    http::{
        Method,
        header::{self, HeaderValue},
    },
    middleware::{Next, from_fn},
    web::{self, Bytes, Data, ServiceConfig},
};
use api_error::method_not_allowed;
use utoipa::openapi::OpenApi;

use crate::{
    Operation, document, metrics,
    pages::{self, Document},
    version::{self, Versioned},
};

/// An API: every operation it has, and nothing is served that is not in it.
#[derive(Debug)]
pub struct Api {
    pub(crate) title: &'static str,
    pub(crate) version: &'static str,
    pub(crate) description: &'static str,
    pub(crate) operations: Vec<Operation>,
}

impl Api {
    /// Begins an API that has its own documentation only. `version` is the release of the service.
    pub fn new(title: &'static str, version: &'static str, description: &'static str) -> Self {
        Self { title, version, description, operations: pages::operations() }
    }

    /// Adds an operation. Of two that match the same path, the one that was added first is asked first.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Returns the OpenAPI document of exactly what [`Api::register`] serves.
    ///
    /// # Panics
    /// A resource whose `GET` has an `ETag` can be changed without a condition on it.
    pub fn document(&self) -> OpenApi {
        document::of(self)
    }

    /// Returns the document as it is served and committed: indented, in a stable order, with a newline at its end.
    pub fn to_json(&self) -> String {
        let json = self.document().to_pretty_json();
        json.expect("a document has no keys but strings") + "\n"
    }

    /// Serves the operations; other methods of their paths get 405, other versions of them get `unknown_version`.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where routes are made")]
    pub fn register(&self, config: &mut ServiceConfig) {
        config.app_data(Data::new(Document(Bytes::from(self.to_json()))));
        for path in self.paths() {
            config.service(resource(path, self.at(path)));
        }
        for (path, operations) in self.by_header() {
            serve_by_header(config, path, &operations);
        }
        let versioned = self.versioned().into_iter();
        let known: Rc<[_]> = versioned.map(|(path, versions)| Versioned::new(path, versions)).collect();
        config.default_service(web::to(move |request: HttpRequest| {
            let error = known.iter().find_map(|versioned| versioned.refuse(request.path()));
            async { Err::<HttpResponse, _>(error.unwrap_or_else(api_error::nothing_here)) }
        }));
    }

    /// Every path, once, in the order in which they were added.
    fn paths(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        self.operations
            .iter()
            .map(|operation| operation.path.as_str())
            .filter(|path| seen.insert(*path))
            .collect()
    }

    fn at<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Operation> + 'a {
        self.operations.iter().filter(move |operation| operation.path == path)
    }

    /// Every path that has versions, without them, and its versions.
    fn versioned(&self) -> BTreeMap<&str, BTreeSet<u32>> {
        let mut versioned = BTreeMap::<_, BTreeSet<u32>>::new();
        for (version, path) in self.operations.iter().filter_map(Operation::version) {
            versioned.entry(path).or_default().insert(version);
        }
        versioned
    }

    /// Every path on which a header chooses the version, and the operations that it chooses among.
    pub(crate) fn by_header(&self) -> BTreeMap<&str, Vec<&Operation>> {
        let mut by_header = BTreeMap::<_, Vec<_>>::new();
        for operation in self.operations.iter().filter(|operation| operation.by_header) {
            if let Some((_, path)) = operation.version() {
                by_header.entry(path).or_default().push(operation);
            }
        }
        by_header
    }
}

fn resource<'a>(path: &str, operations: impl Iterator<Item = &'a Operation>) -> Resource {
    let mut resource = web::resource(path);
    let mut allowed = Vec::new();
    for operation in operations {
        for method in operation.methods() {
            allowed.push(method.clone());
            resource = resource.route(observed(operation, operation.route(method)));
        }
    }
    resource.default_service(method_not_allowed(allow(&allowed)))
}

/// The path without a version: its header chooses, and its absence is an error that says so.
#[expect(clippy::disallowed_methods, reason = "this is the one place where routes are made")]
fn serve_by_header(config: &mut ServiceConfig, path: &str, operations: &[&Operation]) {
    let mut resource = web::resource(path);
    let (mut allowed, mut versions) = (Vec::new(), BTreeSet::new());
    for operation in operations {
        let Some((version, _)) = operation.version() else { continue };
        versions.insert(version);
        for method in operation.methods() {
            allowed.push(method.clone());
            let chosen =
                guard::fn_guard(move |context| version::asked(context.head().headers()) == Some(version));
            resource = resource.route(observed(operation, operation.route(method).guard(chosen)));
        }
    }
    let versioned = Rc::new(Versioned::new(path, versions));
    let refuse = web::to(move |request: HttpRequest| {
        let error = if allowed.contains(request.method()) {
            versioned.refuse_header(request.headers())
        } else {
            api_error::wrong_method(&allow(&allowed))
        };
        async { Err::<HttpResponse, _>(error) }
    });
    config.service(resource.default_service(refuse).wrap(from_fn(vary)));
}

async fn vary(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?;
    response.headers_mut().append(header::VARY, HeaderValue::from_static(version::HEADER));
    Ok(response)
}

/// Counts requests to a version, and announces on their responses that it will go.
fn observed(operation: &Operation, route: Route) -> Route {
    let Some((version, path)) = operation.version() else { return route };
    let requests = metrics::BY_VERSION.with_label_values(&[path, &version.to_string()]);
    let deprecation = operation.deprecation;
    route.wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
        requests.inc();
        let path = request.uri().path();
        let path = version::split(path).map_or(path, |(_, rest)| rest).to_owned();
        async move {
            let mut response = next.call(request).await?;
            if let Some(deprecation) = deprecation {
                deprecation.announce(&path, response.headers_mut());
            }
            Ok(response)
        }
    }))
}

/// The value of `Allow`: each method once, in a stable order.
fn allow(methods: &[Method]) -> String {
    let names: BTreeSet<_> = methods.iter().map(Method::as_str).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
