//! The value of a JSON number, from its text.

/// The largest whole number that every JSON implementation keeps exactly (RFC 7493, section 2.2). Beyond it two different bodies could have one
/// canonical form, and so one idempotency fingerprint.
const MAX: i64 = (1 << 53) - 1;

/// The most digits of a whole number; a longer one is out of every range.
const MAX_DIGITS: i64 = 18;

/// Why a number is not a whole number in any range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotWhole {
    /// It has a fraction.
    Fraction,
    /// It has more than 18 digits before the point.
    OutOfRange,
}

/// Returns a whole number, from every spelling: in JSON Schema a number with a zero fractional part is an integer, so `1`, `1.0`, `10e-1` and
/// `1E0` are the same.
pub(super) fn whole(text: &str) -> Result<i64, NotWhole> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{before}{behind}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    let n_zeros = digits.len() - digits.trim_end_matches('0').len();
    let length = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    // The number is its significant digits times ten to this power.
    let power = exponent_of(exponent).saturating_add(length(n_zeros)).saturating_sub(length(behind.len()));
    if power < 0 {
        return Err(NotWhole::Fraction);
    }
    if length(significant.len()).saturating_add(power) > MAX_DIGITS {
        return Err(NotWhole::OutOfRange);
    }
    let zeros = "0".repeat(usize::try_from(power).unwrap_or_default());
    let size: i64 = format!("{significant}{zeros}").parse().or(Err(NotWhole::OutOfRange))?;
    Ok(if negative { -size } else { size })
}

/// An exponent too long for an `i64` is out of every range.
fn exponent_of(text: &str) -> i64 {
    let out_of_range = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    text.strip_prefix('+').unwrap_or(text).parse().unwrap_or(out_of_range)
}

/// Returns whether every JSON implementation reads the number exactly.
#[expect(clippy::cast_precision_loss, reason = "it is the largest whole number that a f64 has exactly")]
pub(super) fn is_exact(text: &str) -> bool {
    match whole(text) {
        Ok(value) => value.abs() <= MAX,
        Err(NotWhole::OutOfRange) => false,
        Err(NotWhole::Fraction) => text.parse::<f64>().is_ok_and(|value| value.abs() <= MAX as f64),
    }
}

/// Returns the message for a number that is not exact.
pub(super) fn bounds() -> String {
    format!("must be a number from -{MAX} to {MAX}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_read_in_every_spelling() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("0.0", 0),
            ("0e999999999999999999999", 0),
            ("1", 1),
            ("1.0", 1),
            ("1e0", 1),
            ("1E+0", 1),
            ("10e-1", 1),
            ("100.00e-2", 1),
            ("0.01e2", 1),
            ("-12.5e1", -125),
            ("2147483648", 2_147_483_648),
            ("1e17", 100_000_000_000_000_000),
        ] {
            assert_eq!(whole(text), Ok(value), "{text}");
        }
        let long = format!("1.{}", "0".repeat(5_000));
        assert_eq!(whole(&long), Ok(1));
    }

    #[test]
    fn a_fraction_and_a_number_out_of_range_are_refused() {
        for text in ["1.5", "1e-1", "0.1", "-0.001e2", "1e-999999999999999999999"] {
            assert_eq!(whole(text), Err(NotWhole::Fraction), "{text}");
        }
        for text in ["1e18", "-1e400", "1e999999999999999999999", "9223372036854775808", &"9".repeat(400)] {
            assert_eq!(whole(text), Err(NotWhole::OutOfRange), "{text}");
        }
    }

    #[test]
    fn a_number_is_exact_up_to_2_to_the_53() {
        for text in ["9007199254740991", "-9007199254740991", "1.5", "-0.1e2", "1e-400", "9007199254740991.0"]
        {
            assert!(is_exact(text), "{text}");
        }
        for text in ["9007199254740992", "-9007199254740992", "9007199254740991.9", "1e300", "1e400"] {
            assert!(!is_exact(text), "{text}");
        }
    }
}
