//! One operation of an API: its handler, its description, its scope and its errors.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use actix_web::{
    Error, FromRequest, Handler, Responder, Route,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::{Next, from_fn},
    web,
};
use api_error::{Code, openapi::NamedSchema};
use utoipa::{
    __dev::{SchemaReferences, Tags},
    Path,
    openapi::{
        RefOr,
        path::{HttpMethod, Operation as Described, ParameterIn},
    },
};

use crate::{
    admission::Admit,
    version::{self, Deprecation},
};

/// The errors that every operation may answer.
const COMMON: [Code; 8] = [
    Code::InvalidRequest,
    Code::Internal,
    Code::Unavailable,
    Code::Overloaded,
    Code::DeadlineExceeded,
    Code::InvalidDeadline,
    Code::UriTooLong,
    Code::HeadersTooLarge,
];

/// The further errors of an operation with a JSON body.
const WITH_BODY: [Code; 4] =
    [Code::MalformedJson, Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType];

/// Begins an operation from a handler with `#[utoipa::path]`: `operation!(get_order::get_order)`.
#[macro_export]
macro_rules! operation {
    ($handler:ident) => {
        $crate::pastey::paste! {
            $crate::OperationBuilder::new::<[<__path_ $handler>], _, _>($handler)
        }
    };
    ($module:ident :: $handler:ident) => {
        $crate::pastey::paste! {
            $crate::OperationBuilder::new::<$module::[<__path_ $handler>], _, _>($module::$handler)
        }
    };
}

/// An operation without a scope yet; `.scope(…)` or `.public(…)` makes it an [`Operation`].
#[must_use = "an operation needs `.scope(…)` or `.public(…)` before it can be served"]
pub struct OperationBuilder(Operation);

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

impl OperationBuilder {
    /// Takes the description `P` of a handler, and the handler. [`operation!`](crate::operation!) calls it.
    ///
    /// # Panics
    /// The description has `HEAD`, which every `GET` serves anyway.
    pub fn new<P, F, Args>(handler: F) -> Self
    where
        P: Path + SchemaReferences + for<'t> Tags<'t>,
        F: Handler<Args, Output: Responder>,
        Args: FromRequest + 'static,
    {
        let mut described = P::operation();
        described.tags = Some(P::tags().into_iter().map(str::to_owned).collect());
        let mut codes = BTreeSet::from(COMMON);
        if described.request_body.is_some() {
            codes.extend(WITH_BODY);
        }
        let mut schemas = Vec::new();
        P::schemas(&mut schemas);
        let methods = P::methods();
        assert!(!methods.contains(&HttpMethod::Head), "{}: HEAD is served wherever GET is", P::path());
        Self(Operation {
            path: P::path(),
            methods,
            described,
            schemas,
            access: Access::Public("not set"),
            codes,
            deprecation: None,
            by_header: false,
            to_handler: Rc::new(move |route| route.to(handler.clone())),
        })
    }

    /// Needs no token. The document states the reason.
    pub fn public(self, reason: &'static str) -> Operation {
        self.refusing_parameters().public_link(reason)
    }

    /// Needs no token, and ignores query parameters that it does not describe: mail programs and social networks append their own to
    /// links. The document states the reason.
    pub fn public_link(mut self, reason: &'static str) -> Operation {
        self.0.access = Access::Public(reason);
        self.0.through(|route| Admit::public().protect(route))
    }

    /// Needs a token with this scope, and counts towards the quota of its tenant. Admission checks both before the body is read. Reads
    /// (`GET`, `HEAD`) are shed last, all other methods first.
    pub fn scope(self, scope: &'static str) -> Operation {
        let Self(mut operation) = self.refusing_parameters();
        operation.access = Access::Scope(scope);
        operation.codes.extend([Code::Unauthenticated, Code::Forbidden, Code::QuotaExceeded]);
        let reads = operation.methods().all(|method| method.is_safe());
        let admit = if reads { Admit::read(scope) } else { Admit::write(scope) };
        operation.through(move |route| admit.protect(route))
    }

    /// A handler with query parameters extracts them with `api_error::Query`, which refuses unknown ones itself.
    fn refusing_parameters(self) -> Self {
        if has_query(&self.0.described) {
            return self;
        }
        Self(self.0.through(|route| route.wrap(from_fn(refuse_parameters))))
    }
}

impl Operation {
    /// Adds errors that it may answer, besides those that follow from its body and its scope.
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
        let mut parameters = self.described.parameters.iter().flatten();
        parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == "If-Match"))
            && self.codes.contains(&Code::PreconditionFailed)
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

fn has_query(described: &Described) -> bool {
    let mut parameters = described.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(own) if own.parameter_in == ParameterIn::Query))
}

/// Refuses a request with query parameters: the client expects an effect of each.
async fn refuse_parameters(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    // As a response, so that the middleware around the route adds its headers to it.
    match api_error::refuse_parameters(request.request()) {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Err(error) => Ok(request.error_response(error).map_into_right_body()),
    }
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
