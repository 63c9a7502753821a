//! The metric of this library.

use crate::Code;

telemetry::metrics! {
    /// Errors answered, by the code in their body; the codes are those of docs/errors.
    pub(crate) ERRORS: IntCounterVec = "http_errors_total" [code];
}

/// Shows every code at zero, so that the first error of a code is an increase.
pub(crate) fn show() {
    for code in Code::ALL {
        ERRORS.with_label_values(&[code.as_str()]);
    }
}
