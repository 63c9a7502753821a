//! One operation of an API: its handler, its description, its scope and its errors.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use actix_web::{Route, http::Method, web};
use api_error::{Code, openapi::NamedSchema};
use utoipa::openapi::{
    RefOr,
    path::{HttpMethod, Operation as Described, Parameter, ParameterIn},
};

use crate::version::{self, Deprecation};

mod builder;

pub use builder::OperationBuilder;

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// A caller whose token has this scope.
    Scope(&'static str),
    /// Every client, for this reason.
    Public(&'static str),
}

/// One operation of an API: a row of the table.
#[derive(Clone)]
pub struct Operation {
    pub(crate) path: String,
    pub(crate) methods: Vec<HttpMethod>,
    pub(crate) described: Described,
    pub(crate) schemas: Vec<NamedSchema>,
    pub(crate) access: Access,
    pub(crate) codes: BTreeSet<Code>,
    pub(crate) deprecation: Option<Deprecation>,
    pub(crate) by_header: bool,
    to_handler: Rc<dyn Fn(Route) -> Route>,
}

impl Operation {
    /// Adds errors that it may answer, besides those that follow from its body, its parameters and its scope.
    #[must_use]
    pub fn errors(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// Puts middleware around its route: `.through(|route| route.wrap(…))`.
    #[must_use]
    pub fn through(mut self, wrap: impl Fn(Route) -> Route + 'static) -> Self {
        let to_handler = self.to_handler;
        self.to_handler = Rc::new(move |route| wrap(to_handler(route)));
        self
    }

    /// Serves it on the path without its version too, where the header `API-Version` selects the version.
    ///
    /// # Panics
    /// Its path does not begin with a version.
    #[must_use]
    pub fn by_header(mut self) -> Self {
        assert!(self.version().is_some(), "{}: only a path with a version has one without", self.path);
        self.by_header = true;
        self
    }

    /// Announces its end on every response, see [`Deprecation`].
    ///
    /// # Panics
    /// Its path does not begin with a version.
    #[must_use]
    pub fn deprecated(mut self, deprecation: Deprecation) -> Self {
        assert!(self.version().is_some(), "{}: only a version can be deprecated", self.path);
        self.described.deprecated = Some(utoipa::openapi::Deprecated::True);
        self.deprecation = Some(deprecation);
        self
    }

    /// Returns the version in its path, and the path without it.
    pub(crate) fn version(&self) -> Option<(u32, &str)> {
        version::split(&self.path)
    }

    /// Returns its methods: those of its description, and `HEAD` with `GET` (RFC 9110, section 9.1). The same handler answers `HEAD`, and
    /// actix sends the head of the response only.
    pub(crate) fn methods(&self) -> impl Iterator<Item = Method> + '_ {
        let reads = self.methods.contains(&HttpMethod::Get);
        self.methods.iter().map(method).chain(reads.then_some(Method::HEAD))
    }

    /// Returns whether a response of it has an `ETag`.
    pub(crate) fn has_etag(&self) -> bool {
        let mut responses = self.described.responses.responses.values();
        responses
            .any(|response| matches!(response, RefOr::T(response) if response.headers.contains_key("ETag")))
    }

    /// Returns whether it takes conditions: `If-Match`, with 412 when they do not hold.
    pub(crate) fn is_conditional(&self) -> bool {
        self.has_parameter("If-Match") && self.codes.contains(&Code::PreconditionFailed)
    }

    fn has_parameter(&self, name: &str) -> bool {
        self.parameters().any(|parameter| parameter.name == name)
    }

    fn has_query(&self) -> bool {
        self.parameters().any(|parameter| parameter.parameter_in == ParameterIn::Query)
    }

    fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.described.parameters.iter().flatten().filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
    }

    /// Makes the route of one of its methods.
    pub(crate) fn route(&self, method: Method) -> Route {
        (self.to_handler)(web::method(method))
    }
}

/// Returns every path on which a header selects the version, and its operations.
pub(crate) fn by_header(operations: &[Operation]) -> BTreeMap<&str, Vec<&Operation>> {
    let mut by_header = BTreeMap::<_, Vec<_>>::new();
    for operation in operations.iter().filter(|operation| operation.by_header) {
        if let Some((_, path)) = operation.version() {
            by_header.entry(path).or_default().push(operation);
        }
    }
    by_header
}

fn method(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
    }
}
