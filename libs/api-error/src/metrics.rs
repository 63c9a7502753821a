//! The metric of this library.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

use crate::Code;

/// Errors answered, by code. Every code is there from the first answer on, so that a rate over it begins at 0.
pub(crate) static ERRORS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let errors = register_int_counter_vec!(
        "http_errors_total",
        "Errors answered, by the code in their body; the codes are those of docs/errors.",
        &["code"]
    )
    .expect("the metric is registered here only");
    for code in Code::ALL {
        errors.with_label_values(&[code.as_str()]).inc_by(0);
    }
    errors
});
