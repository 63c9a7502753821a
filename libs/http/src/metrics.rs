//! Every metric of this library.

use std::sync::LazyLock;

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, register_int_counter, register_int_counter_vec, register_int_gauge,
};

use crate::admission::Class;

/// Requests that were refused because too many were being worked on.
pub(crate) static SHED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let shed = register_int_counter_vec!(
        "shed_total",
        "Requests refused because too many were being worked on, by class of route.",
        &["class"]
    )
    .expect("the metric is registered once");
    for class in Class::ALL {
        shed.with_label_values(&[class.label()]);
    }
    shed
});

/// Requests that were refused because their tenant had used its quota up.
pub(crate) static THROTTLED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("throttled_total", "Requests refused because their tenant was over its quota.")
        .expect("the metric is registered once")
});

/// Requests that hold a slot, until their response has been written.
pub(crate) static IN_FLIGHT: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!("admitted_requests_in_flight", "Requests that hold a slot, of any class.")
        .expect("the metric is registered once")
});

/// Registers all of them, so that a quiet process reports zero and not nothing.
pub(crate) fn register() {
    LazyLock::force(&SHED);
    LazyLock::force(&THROTTLED);
    LazyLock::force(&IN_FLIGHT);
}

/// Requests to operations that have a version, by the path without it and the version.
pub(crate) static BY_VERSION: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "http_requests_by_version_total",
        "Requests to operations that have a version, however the version was chosen.",
        &["path", "version"]
    )
    .expect("the metric is registered here only")
});
