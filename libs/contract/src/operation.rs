//! One operation: the handler, what is documented about it, and who may call it.

use std::{collections::BTreeSet, fmt, rc::Rc};

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
    pages,
    version::{self, Deprecation},
};

/// What any operation may answer: nothing of it depends on what the operation does.
const ANYWHERE: [Code; 8] = [
    Code::InvalidRequest,
    Code::Internal,
    Code::Unavailable,
    Code::Overloaded,
    Code::DeadlineExceeded,
    Code::InvalidDeadline,
    Code::UriTooLong,
    Code::HeadersTooLarge,
];

/// What an operation that reads a JSON body may answer besides.
const WITH_BODY: [Code; 4] =
    [Code::MalformedJson, Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType];

/// Takes a handler with `#[utoipa::path]`, by its path: `operation!(get_order::get_order)`.
#[macro_export]
macro_rules! operation {
    ($handler:ident) => {
        $crate::pastey::paste! {
            $crate::Undecided::new::<[<__path_ $handler>], _, _>($handler)
        }
    };
    ($module:ident :: $handler:ident) => {
        $crate::pastey::paste! {
            $crate::Undecided::new::<$module::[<__path_ $handler>], _, _>($module::$handler)
        }
    };
}

/// An operation of which nobody has said yet who may call it.
#[must_use = "an operation is not served before it is decided who may call it"]
pub struct Undecided(Operation);

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever has a token with this scope.
    Scope(&'static str),
    /// Anyone, for this reason.
    Public(&'static str),
}

/// One operation of an API.
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

impl Undecided {
    /// Takes the description `P` of a handler, and the handler. [`operation!`](crate::operation!) calls it.
    ///
    /// # Panics
    /// `HEAD` is described, which is served wherever `GET` is.
    pub fn new<P, F, Args>(handler: F) -> Self
    where
        P: Path + SchemaReferences + for<'t> Tags<'t>,
        F: Handler<Args, Output: Responder>,
        Args: FromRequest + 'static,
    {
        let mut described = P::operation();
        described.tags = Some(P::tags().into_iter().map(str::to_owned).collect());
        let mut codes = BTreeSet::from(ANYWHERE);
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
            access: Access::Public("undecided"),
            codes,
            deprecation: None,
            by_header: false,
            to_handler: Rc::new(move |route| route.to(handler.clone())),
        })
    }

    /// Anyone may call it, for a reason that the document states.
    pub fn public(self, reason: &'static str) -> Operation {
        self.refusing_parameters().public_link(reason)
    }

    /// Anyone may follow a link to it, for a reason that the document states. Parameters that it does not describe are ignored:
    /// mail programs and social networks append their own to links.
    pub fn public_link(mut self, reason: &'static str) -> Operation {
        self.0.access = Access::Public(reason);
        self.0.through(|route| route.wrap(admission::public()))
    }

    /// Whoever has a token with this scope may call it, within the quota of its tenant. `admission` sees to that before the body
    /// is read: reads (`GET`, `HEAD`) are shed last, everything else first.
    pub fn scope(self, scope: &'static str) -> Operation {
        let Self(mut operation) = self.refusing_parameters();
        operation.access = Access::Scope(scope);
        operation.codes.extend([Code::Unauthenticated, Code::Forbidden, Code::QuotaExceeded]);
        let reads = operation.methods().all(|method| method.is_safe());
        let admit = if reads { admission::read(scope) } else { admission::write(scope) };
        operation.through(move |route| route.wrap(admit))
    }

    /// Who describes parameters extracts them with `api_error::Query`, which refuses those that it does not know.
    fn refusing_parameters(self) -> Self {
        if has_query(&self.0.described) {
            return self;
        }
        Self(self.0.through(|route| route.wrap(from_fn(without_parameters))))
    }
}

impl Operation {
    /// States which errors it may answer, besides those that follow from its body and from who may call it.
    #[must_use]
    pub fn errors(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// Puts middleware around its route, such as admission control: `.through(|route| route.wrap(…))`.
    #[must_use]
    pub fn through(mut self, wrap: impl Fn(Route) -> Route + 'static) -> Self {
        let to_handler = self.to_handler;
        self.to_handler = Rc::new(move |route| wrap(to_handler(route)));
        self
    }

    /// Serves it on the path without its version too, where the header `API-Version` chooses among the versions.
    ///
    /// # Panics
    /// Its path does not begin with a version.
    #[must_use]
    pub fn by_header(mut self) -> Self {
        assert!(self.version().is_some(), "{}: only a path with a version has one without", self.path);
        self.by_header = true;
        self
    }

    /// Says that it will go, when, and what comes after it.
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

    /// The version in its path, and the path without it.
    pub(crate) fn version(&self) -> Option<(u32, &str)> {
        version::split(&self.path)
    }

    /// Whether it belongs to the documentation, as every API has it.
    pub(crate) fn is_page(&self) -> bool {
        self.access == Access::Public(pages::PUBLIC)
    }

    /// The methods that it takes: those of its description, and `HEAD` with `GET` (RFC 9110, section 9.1). The same handler answers
    /// it, and actix sends the head of the answer alone.
    pub(crate) fn methods(&self) -> impl Iterator<Item = Method> + '_ {
        let reads = self.methods.contains(&HttpMethod::Get);
        self.methods.iter().map(method).chain(reads.then_some(Method::HEAD))
    }

    /// Whether an answer of it carries an `ETag`, by which a client can say what it has seen.
    pub(crate) fn has_a_tag(&self) -> bool {
        let mut responses = self.described.responses.responses.values();
        responses
            .any(|response| matches!(response, RefOr::T(response) if response.headers.contains_key("ETag")))
    }

    /// Whether it changes something only as the client has seen it, if the client wants that.
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

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("path", &self.path)
            .field("methods", &self.methods().collect::<Vec<_>>())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Undecided").field(&self.0).finish()
    }
}

fn has_query(described: &Described) -> bool {
    let mut parameters = described.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(own) if own.parameter_in == ParameterIn::Query))
}

/// A parameter that an operation does not know was meant to change what it does.
async fn without_parameters(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    // As a response, so that what is around the route adds its headers to it.
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
