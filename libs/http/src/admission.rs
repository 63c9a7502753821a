//! Admission control: load shedding by class of route, and a rate limit per tenant. The decision needs the head of a request only.

mod concurrency;
mod place_in_line;
mod quota;

use std::{sync::Arc, time::Duration};

use actix_web::{
    Error, HttpRequest, HttpResponse, Route,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderValue},
    middleware::{Next, from_fn},
};
use api_error::{ApiError, Code};
use clap::{Args, value_parser};
use telemetry::metrics::register;

use self::{
    concurrency::{ConcurrencyLimit, Permit, PermitBody},
    quota::Quota,
};
use crate::{
    caller,
    metrics::{IN_FLIGHT, LIMIT, SHED, THROTTLED},
};

/// The limits of one process. The defaults are for one process in front of one database; the README says how to size them.
#[derive(Clone, Debug, Args)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// Requests per second that one tenant may send to this process, on average. Beyond it: 429 `quota_exceeded`.
    #[arg(long, env, value_name = "N", default_value_t = 2_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub quota_requests_per_second: u32,

    /// Requests that a tenant may send at once after a pause.
    #[arg(long, env, value_name = "N", default_value_t = 4_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub quota_burst: u32,

    /// Requests in flight at a time, at most. Beyond it (writes: beyond 80 % of it): 503 `overloaded`. The limit is lower while requests
    /// wait in vain for a connection to the database, and for some seconds afterwards.
    #[arg(long, env, value_name = "N", default_value_t = 512, value_parser = value_parser!(u32).range(10..=100_000))]
    pub max_requests_in_flight: u32,
}

/// The class of a route: which requests are shed first under overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Begins new work. Shed first.
    Write,
    /// Needs no token: redirects, public pages.
    Public,
    /// Reads, polling for the outcome of a write included. Shed last: a client whose poll is shed polls again.
    Read,
}

impl Class {
    const ALL: [Self; 3] = [Self::Write, Self::Public, Self::Read];

    /// Returns the value of the metric's label.
    fn label(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Public => "public",
            Self::Read => "read",
        }
    }

    /// Returns the share of the concurrency limit, in per cent, below which a request of this class gets a permit.
    fn share_percent(self) -> u64 {
        match self {
            Self::Write => 80,
            Self::Public => 90,
            Self::Read => 100,
        }
    }
}

/// The concurrency limit and the quotas of one process; put it into `app_data`. Clones share them.
#[derive(Clone)]
pub struct Admission(Arc<Limits>);

struct Limits {
    config: Config,
    quota: Quota,
    concurrency: Arc<ConcurrencyLimit>,
}

impl Admission {
    /// Makes the limits, with no request in flight.
    pub fn new(config: &Config) -> Self {
        for class in Class::ALL {
            SHED.with_label_values(&[class.label()]);
        }
        register(&[&THROTTLED]);
        register(&[&IN_FLIGHT, &LIMIT]);
        Self(Arc::new(Limits {
            config: config.clone(),
            quota: Quota::new(config),
            concurrency: ConcurrencyLimit::new(config.max_requests_in_flight),
        }))
    }

    /// Admits a request, or refuses it with 503, 401, 403 or 429.
    ///
    /// The permit comes first, because it costs least: an overloaded process checks no signatures (nor does `request_telemetry`,
    /// see [`Admission::is_shedding`]). The quota comes last, because
    /// only a verified token says which tenant's it is.
    fn admit(&self, request: &HttpRequest, admit: Admit) -> Result<Permit, ApiError> {
        let permit = self.0.concurrency.take(admit.class).ok_or_else(|| self.shed(admit.class))?;
        if let Some(scope) = admit.scope {
            let caller = caller::authenticate(request)?;
            caller.require(scope)?;
            self.0.quota.take(&caller.tenant).map_err(|wait| self.throttle(wait))?;
        }
        Ok(permit)
    }

    /// Whether new writes are shed now. Nothing else that costs time is done for a request then.
    pub(crate) fn is_shedding(&self) -> bool {
        self.0.concurrency.is_reached(Class::Write)
    }

    fn shed(&self, class: Class) -> ApiError {
        SHED.with_label_values(&[class.label()]).inc();
        let limit = self.0.concurrency.limit(class);
        ApiError::new(Code::Overloaded, format!("{limit} requests are in flight"))
            .with_retry_after(self.0.concurrency.wait(class))
    }

    fn throttle(&self, wait: Duration) -> ApiError {
        THROTTLED.inc();
        let Config { quota_requests_per_second, quota_burst, .. } = &self.0.config;
        let message = format!(
            "The tenant has used up its quota of {quota_requests_per_second} requests per second, {quota_burst} at once. \
             Send the same request again after the time in Retry-After."
        );
        ApiError::new(Code::QuotaExceeded, message).with_retry_after(wait)
    }
}

/// What a route requires before its handler, or anything that reads the body, runs.
#[derive(Clone, Copy, Debug)]
pub struct Admit {
    class: Class,
    scope: Option<&'static str>,
}

impl Admit {
    /// A route that reads. It needs a token with this scope, counts towards the tenant's quota, and is shed last.
    pub fn read(scope: &'static str) -> Self {
        Self { class: Class::Read, scope: Some(scope) }
    }

    /// A route that begins new work. It needs a token with this scope, counts towards the tenant's quota, and is shed first.
    pub fn write(scope: &'static str) -> Self {
        Self { class: Class::Write, scope: Some(scope) }
    }

    /// A route that needs no token, such as a redirect. It has no tenant, and so no quota.
    pub fn public() -> Self {
        Self { class: Class::Public, scope: None }
    }

    /// Puts the check around a route. The application's data must have an [`Admission`].
    pub fn protect(self, route: Route) -> Route {
        route.wrap(from_fn(move |request, next| handle(self, request, next)))
    }
}

async fn handle(
    admit: Admit,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let admitted = match request.app_data::<Admission>() {
        Some(admission) => admission.admit(request.request(), admit),
        None => Err(ApiError::internal("no http_api::Admission in the application's data")),
    };
    match admitted {
        // The permit is given back when this future or the response's body is dropped.
        Ok(permit) => {
            let mut response = next.call(request).await?;
            if is_overload(response.response()) {
                // Whole seconds, rounded up, as for every error.
                let seconds = HeaderValue::from(permit.failed().as_secs() + 1);
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            } else {
                permit.answered();
            }
            // A client without a token must not hold a permit by reading slowly.
            let held = (admit.class != Class::Public).then_some(permit);
            Ok(response.map_body(|_, body| BoxBody::new(PermitBody::new(body.boxed(), held))))
        }
        // As a response, so that the middleware around the route adds its headers to it.
        Err(error) => Ok(request.error_response(error)),
    }
}

fn is_overload<B>(response: &HttpResponse<B>) -> bool {
    response.error().and_then(|error| error.as_error::<ApiError>()).is_some_and(ApiError::is_overload)
}
