//! The making of an operation: from a handler and its description to a route that admission protects.

use std::{collections::BTreeSet, rc::Rc};

use actix_web::{
    Error, FromRequest, Handler, Responder,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::{Next, from_fn},
};
use api_error::Code;
use utoipa::{
    __dev::{SchemaReferences, Tags},
    Path,
    openapi::path::HttpMethod,
};

use super::{Access, Operation};
use crate::admission::Admit;

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

/// The further errors of an operation with an idempotency key.
const WITH_KEY: [Code; 4] = [
    Code::MissingIdempotencyKey,
    Code::InvalidIdempotencyKey,
    Code::RequestInProgress,
    Code::IdempotencyKeyReused,
];

/// The further errors of a list in pages.
const WITH_CURSOR: [Code; 4] =
    [Code::InvalidCursor, Code::CursorForeign, Code::CursorExpired, Code::CursorMismatch];

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
        let mut operation = Operation {
            path: P::path(),
            methods,
            described,
            schemas,
            access: Access::Public("not set"),
            codes,
            deprecation: None,
            by_header: false,
            to_handler: Rc::new(move |route| route.to(handler.clone())),
        };
        for (parameter, errors) in [("Idempotency-Key", WITH_KEY), ("cursor", WITH_CURSOR)] {
            if operation.has_parameter(parameter) {
                operation.codes.extend(errors);
            }
        }
        Self(operation)
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
        if self.0.has_query() {
            return self;
        }
        Self(self.0.through(|route| route.wrap(from_fn(refuse_parameters))))
    }
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
