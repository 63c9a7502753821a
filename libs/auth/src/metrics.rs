//! Every metric of this library.

telemetry::metrics! {
    /// When a key stops being accepted, in seconds since 1970.
    KEY_EXPIRY: GaugeVec = "auth_key_expiry_timestamp_seconds" [kid];
}

/// Shows when a key ends, in seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit for millions of years")]
pub(crate) fn show_expiry(kid: &str, exp: u64) {
    KEY_EXPIRY.with_label_values(&[kid]).set(exp as f64);
}
