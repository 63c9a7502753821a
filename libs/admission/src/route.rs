//! The middleware of one route: `.wrap(admission::write("orders:write"))`.

use std::future::{Ready, ready};

use actix_web::{
    Error,
    body::BoxBody,
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};
use api_error::ApiError;
use futures::future::LocalBoxFuture;

use crate::{Admission, class::Class, held::Held};

/// What a route asks of a request before its handler, or anything that reads the body, gets to see it.
#[derive(Clone, Copy, Debug)]
pub struct Admit {
    class: Class,
    scope: Option<&'static str>,
}

/// Declares a route that asks what there is, polling for the outcome of a write included. It takes a token with this scope,
/// counts towards its tenant's quota, and is shed last.
pub fn read(scope: &'static str) -> Admit {
    Admit { class: Class::Read, scope: Some(scope) }
}

/// Declares a route that begins new work. It takes a token with this scope, counts towards its tenant's quota, and is shed
/// first.
pub fn write(scope: &'static str) -> Admit {
    Admit { class: Class::Write, scope: Some(scope) }
}

/// Declares a route for anyone, such as a redirect. There is no tenant, and so no quota.
pub fn public() -> Admit {
    Admit { class: Class::Public, scope: None }
}

impl<S> Transform<S, ServiceRequest> for Admit
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = AdmitService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(AdmitService { service, admit: *self }))
    }
}

/// The service that [`Admit`] makes.
#[derive(Debug)]
pub struct AdmitService<S> {
    service: S,
    admit: Admit,
}

impl<S> Service<ServiceRequest> for AdmitService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let Admit { class, scope } = self.admit;
        let admitted = match request.app_data::<Admission>() {
            Some(admission) => admission.admit(request.request(), class, scope),
            None => Err(ApiError::internal("no admission::Admission in the application's data")),
        };
        let slot = match admitted {
            Ok(slot) => slot,
            Err(error) => return Box::pin(ready(Ok(request.error_response(error)))),
        };
        // The slot is given back when this future is dropped, at whatever await.
        let handled = self.service.call(request);
        Box::pin(async move {
            let response = handled.await?;
            Ok(response.map_body(|_, body| BoxBody::new(Held::new(body, slot))))
        })
    }
}
