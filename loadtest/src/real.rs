//! Counts as real numbers.

/// A count to reckon with.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and what is counted here stays far below")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// Microseconds as milliseconds.
pub(crate) fn ms(micros: u64) -> f64 {
    real(micros) / 1e3
}
