//! The metric of this library.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

/// Requests to operations that have a version, by the path without it and the version: who still uses an old one.
pub(crate) static BY_VERSION: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "http_requests_by_version_total",
        "Requests to operations that have a version, however the version was chosen.",
        &["path", "version"]
    )
    .expect("the metric is registered here only")
});
