//! Every metric of this library.

use std::sync::LazyLock;

use prometheus::{GaugeVec, register_gauge_vec};

/// When a key stops being accepted, by its id. A key without an end has no series.
static KEY_EXPIRY: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "auth_key_expiry_timestamp_seconds",
        "When a key stops being accepted, in seconds since 1970.",
        &["kid"]
    )
    .expect("the metric is registered once")
});

/// Shows when a key ends, in seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit for millions of years")]
pub(crate) fn show_expiry(kid: &str, exp: u64) {
    KEY_EXPIRY.with_label_values(&[kid]).set(exp as f64);
}
