//! The quota of each tenant, as a leaky bucket (GCRA).

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

use crate::Config;

/// How many tenants are remembered before those with a full bucket, for whom there is nothing to remember, are forgotten.
const SWEEP_AT: usize = 10_000;

/// The quotas of all tenants.
pub(crate) struct Quota {
    limiter: RateLimiter<Tenant, HashMapStateStore<Tenant>, DefaultClock>,
    clock: DefaultClock,
    next_sweep: AtomicUsize,
}

impl Quota {
    pub(crate) fn new(config: &Config) -> Self {
        let rate = NonZeroU32::new(config.quota_requests_per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(config.quota_burst).unwrap_or(NonZeroU32::MIN);
        Self {
            limiter: RateLimiter::hashmap(governor::Quota::per_second(rate).allow_burst(burst)),
            clock: DefaultClock::default(),
            next_sweep: AtomicUsize::new(SWEEP_AT),
        }
    }

    /// Takes one request from a tenant's quota, or says how long it is until there is one.
    pub(crate) fn take(&self, tenant: &Tenant) -> Result<(), Duration> {
        self.forget_idle_tenants();
        self.limiter.check_key(tenant).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// Bounds the memory: a sweep leaves the tenants of the last moments (burst by rate, two seconds by default), and the
    /// next one comes when there are twice as many, so that its cost is small beside that of the requests in between.
    fn forget_idle_tenants(&self) {
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
    fn a_tenant_gets_its_burst_and_is_told_how_long_to_wait_for_more() {
        let quota = quota(1, 3);
        let taken = (0..4).map(|_| quota.take(&tenant("acme"))).collect::<Vec<_>>();
        assert!(taken[..3].iter().all(Result::is_ok), "{taken:?}");
        let wait = taken[3].unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
    }

    #[test]
    fn one_tenants_requests_are_not_anothers() {
        let quota = quota(1, 1);
        assert!(quota.take(&tenant("acme")).is_ok());
        assert!(quota.take(&tenant("acme")).is_err());
        assert!(quota.take(&tenant("globex")).is_ok());
    }

    #[test]
    fn tenants_with_a_full_bucket_are_forgotten() {
        let quota = quota(1_000_000, 1);
        for n in 0..5 * SWEEP_AT {
            assert!(quota.take(&tenant(&format!("tenant-{n}"))).is_ok());
        }
        assert!(quota.limiter.len() <= 2 * SWEEP_AT, "{}", quota.limiter.len());
    }
}
