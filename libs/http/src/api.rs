//! The table of operations, and the routes made from it.

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
use utoipa::openapi::{Info, OpenApi};

use crate::{
    Operation, document, metrics,
    operation::by_header,
    pages::{self, Document},
    version::{self, Versioned},
};

/// An API: the table of its operations. It serves these and no others.
pub struct Api {
    info: Info,
    operations: Vec<Operation>,
}

impl Api {
    /// Makes an API whose only operations are its documentation. `version` is the release of the service.
    pub fn new(title: &str, version: &str, description: &str) -> Self {
        let mut info = Info::new(title, version);
        info.description = Some(description.to_owned());
        Self { info, operations: pages::operations() }
    }

    /// Adds an operation. Of two patterns that match the same path, the first one added wins.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Returns the OpenAPI document of exactly what [`Api::register`] serves.
    ///
    /// # Panics
    /// The `GET` of a resource has an `ETag`, and a method that changes the resource takes no `If-Match`.
    pub fn document(&self) -> OpenApi {
        document::of(self.info.clone(), &self.operations)
    }

    /// Returns the document as text, as it is served and committed: indented, in a stable order, with a newline at its end.
    pub fn to_json(&self) -> String {
        let json = self.document().to_pretty_json();
        json.expect("a document has no keys but strings") + "\n"
    }

    /// Adds the routes of the operations. Other methods of their paths get 405, other versions get `unknown_version`.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where routes are made")]
    pub fn register(&self, config: &mut ServiceConfig) {
        config.app_data(Data::new(Document(Bytes::from(self.to_json()))));
        for path in self.paths() {
            config.service(resource(path, self.at(path)));
        }
        for (path, operations) in by_header(&self.operations) {
            serve_by_header(config, path, &operations);
        }
        let versioned = self.versioned().into_iter();
        let known: Rc<[_]> = versioned.map(|(path, versions)| Versioned::new(path, versions)).collect();
        config.default_service(web::to(move |request: HttpRequest| {
            let error = known.iter().find_map(|versioned| versioned.refuse(request.path()));
            async { Err::<HttpResponse, _>(error.unwrap_or_else(api_error::not_found)) }
        }));
    }

    /// Returns every path once, in the order of the table.
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

    /// Returns every path with versions, without the version, and its versions.
    fn versioned(&self) -> BTreeMap<&str, BTreeSet<u32>> {
        let mut versioned = BTreeMap::<_, BTreeSet<u32>>::new();
        for (version, path) in self.operations.iter().filter_map(Operation::version) {
            versioned.entry(path).or_default().insert(version);
        }
        versioned
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

/// Serves the path without a version. The header selects the version; a request without it gets `missing_version`.
#[expect(clippy::disallowed_methods, reason = "this is the one place where routes are made")]
fn serve_by_header(config: &mut ServiceConfig, path: &str, operations: &[&Operation]) {
    let mut resource = web::resource(path);
    let (mut allowed, mut versions) = (Vec::new(), BTreeSet::new());
    for operation in operations {
        let Some((version, _)) = operation.version() else { continue };
        versions.insert(version);
        for method in operation.methods() {
            allowed.push(method.clone());
            let selected =
                guard::fn_guard(move |context| version::requested(context.head().headers()) == Some(version));
            resource = resource.route(observed(operation, operation.route(method).guard(selected)));
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

/// Counts the requests to a version, and announces its deprecation on their responses.
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

/// Returns the value of `Allow`: each method once, in a stable order.
fn allow(methods: &[Method]) -> String {
    let names: BTreeSet<_> = methods.iter().map(Method::as_str).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
