//! Every metric of this library.

telemetry::metrics! {
    /// Requests refused because too many were being worked on, by class of route.
    pub(crate) SHED: IntCounterVec = "shed_total" [class];
    /// Requests refused because their tenant was over its quota.
    pub(crate) THROTTLED: IntCounter = "throttled_total";
    // Until the response has been written.
    /// Requests that hold a slot, of any class.
    pub(crate) IN_FLIGHT: IntGauge = "admitted_requests_in_flight";
    /// Requests that may hold a slot now: the configured maximum, or less after requests waited in vain for a connection to the database.
    pub(crate) LIMIT: IntGauge = "admission_limit";
    /// Requests to operations that have a version, however the version was chosen.
    pub(crate) BY_VERSION: IntCounterVec = "http_requests_by_version_total" [path, version];
    /// When the certificate of the listener with TLS expires, in seconds since 1970.
    pub(crate) CERTIFICATE_EXPIRY: IntGauge = "tls_certificate_expiry_timestamp_seconds";
    /// Changed certificate files that could not be loaded.
    pub(crate) CERTIFICATE_RELOAD_FAILURES: IntCounter = "tls_certificate_reload_failures_total";
}
