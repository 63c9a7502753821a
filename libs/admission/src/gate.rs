//! The decision: whether a request is let in, made of its head alone.

use std::{fmt, sync::Arc, time::Duration};

use actix_web::HttpRequest;
use api_error::{ApiError, Code};

use crate::{
    Config,
    class::Class,
    metrics,
    quota::Quota,
    slots::{Slot, Slots},
};

/// The longest time that a shed client is asked to stay away. The times are spread below it, or all would be back at once.
const MAX_RETRY_AFTER_SECONDS: u64 = 3;

/// The quotas and slots of one process; put it into `app_data`. Clones share them.
#[derive(Clone)]
pub struct Admission(Arc<Gate>);

struct Gate {
    config: Config,
    quota: Quota,
    slots: Arc<Slots>,
}

impl Admission {
    /// Makes it, with nobody inside.
    pub fn new(config: &Config) -> Self {
        metrics::register();
        Self(Arc::new(Gate {
            config: config.clone(),
            quota: Quota::new(config),
            slots: Slots::new(config.max_requests_in_flight),
        }))
    }

    /// Lets a request in, for as long as the slot is held.
    ///
    /// First the slot, because that costs least: an overloaded process checks no signatures. Then the caller, and only then
    /// the quota, because only a verified token says whose it is.
    pub(crate) fn admit(
        &self,
        request: &HttpRequest,
        class: Class,
        scope: Option<&str>,
    ) -> Result<Slot, ApiError> {
        let slot = self.0.slots.take(class).ok_or_else(|| self.shed(class))?;
        if let Some(scope) = scope {
            let caller = auth::authenticate(request)?;
            caller.require(scope)?;
            self.0.quota.take(&caller.tenant).map_err(|wait| self.throttle(wait))?;
        }
        Ok(slot)
    }

    fn shed(&self, class: Class) -> ApiError {
        metrics::SHED.with_label_values(&[class.label()]).inc();
        let limit = self.0.slots.limit(class);
        let seconds = rand::random_range(1..=MAX_RETRY_AFTER_SECONDS);
        ApiError::new(Code::Overloaded, format!("{limit} requests are being worked on"))
            .with_retry_after(Duration::from_secs(seconds))
    }

    fn throttle(&self, wait: Duration) -> ApiError {
        metrics::THROTTLED.inc();
        let Config { quota_requests_per_second, quota_burst, .. } = &self.0.config;
        let message = format!(
            "The tenant has used up its quota of {quota_requests_per_second} requests per second, {quota_burst} at once. \
             Send the same request again after the time in Retry-After."
        );
        ApiError::new(Code::QuotaExceeded, message).with_retry_after(wait)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("config", &self.0.config).finish_non_exhaustive()
    }
}
