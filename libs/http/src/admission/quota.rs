//! The rate limit of each tenant: a token bucket (GCRA).

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use auth::Tenant;
use governor::{
    RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::HashMapStateStore,
};

use super::Config;

/// The number of tenants in memory at which a sweep removes those with a full bucket.
const SWEEP_AT: usize = 10_000;

/// The quotas of all tenants.
pub(super) struct Quota {
    limiter: RateLimiter<Tenant, HashMapStateStore<Tenant>, DefaultClock>,
    clock: DefaultClock,
    next_sweep: AtomicUsize,
}

impl Quota {
    pub(super) fn new(config: &Config) -> Self {
        let rate = NonZeroU32::new(config.quota_requests_per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(config.quota_burst).unwrap_or(NonZeroU32::MIN);
        Self {
            limiter: RateLimiter::hashmap(governor::Quota::per_second(rate).allow_burst(burst)),
            clock: DefaultClock::default(),
            next_sweep: AtomicUsize::new(SWEEP_AT),
        }
    }

    /// Takes one request from a tenant's quota.
    ///
    /// # Errors
    /// The quota is used up; returns the time until the next request is allowed.
    pub(super) fn take(&self, tenant: &Tenant) -> Result<(), Duration> {
        self.sweep_idle_tenants();
        self.limiter.check_key(tenant).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// Bounds the memory. A sweep keeps the tenants of the last seconds (burst by rate, two by default). The next sweep runs at twice
    /// that number, so its cost is small compared with that of the requests in between.
    fn sweep_idle_tenants(&self) {
        if self.limiter.len() < self.next_sweep.load(Ordering::Relaxed) {
            return;
        }
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        self.next_sweep.store(SWEEP_AT.max(2 * self.limiter.len()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(per_second: u32, burst: u32) -> Quota {
        Quota::new(&Config {
            quota_requests_per_second: per_second,
            quota_burst: burst,
            max_requests_in_flight: 10,
        })
    }

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
    }

    #[test]
    fn a_tenant_gets_its_burst_and_then_a_retry_time() {
        let quota = quota(1, 3);
        let taken = (0..4).map(|_| quota.take(&tenant("acme"))).collect::<Vec<_>>();
        assert!(taken[..3].iter().all(Result::is_ok), "{taken:?}");
        let wait = taken[3].unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
    }

    #[test]
    fn tenants_have_separate_quotas() {
        let quota = quota(1, 1);
        assert!(quota.take(&tenant("acme")).is_ok());
        assert!(quota.take(&tenant("acme")).is_err());
        assert!(quota.take(&tenant("globex")).is_ok());
    }

    #[test]
    fn tenants_with_a_full_bucket_are_removed_from_memory() {
        let quota = quota(1_000_000, 1);
        for n in 0..5 * SWEEP_AT {
            assert!(quota.take(&tenant(&format!("tenant-{n}"))).is_ok());
        }
        assert!(quota.limiter.len() <= 2 * SWEEP_AT, "{}", quota.limiter.len());
    }
}
