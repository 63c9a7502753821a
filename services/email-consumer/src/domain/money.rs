//! Amounts as people read them.

/// An ISO 4217 currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Currency(String);

/// The text is no currency code.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the currency is not a code of three capital letters")]
pub(crate) struct InvalidCurrency;

/// Currencies whose minor unit is not a hundredth (ISO 4217, table A.1), by the digits after the point.
const EXPONENTS: [(u32, &[&str]); 3] = [
    (
        0,
        &[
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV",
            "XAF", "XOF", "XPF",
        ],
    ),
    (3, &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]),
    (4, &["CLF", "UYW"]),
];

impl Currency {
    /// Takes an ISO 4217 code.
    pub(crate) fn new(code: String) -> Result<Self, InvalidCurrency> {
        let well_formed = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        if well_formed { Ok(Self(code)) } else { Err(InvalidCurrency) }
    }

    /// Writes an amount of minor units, as in `€1,234.50` or `CHF 1,234.50` with a space that does not break.
    pub(crate) fn format(&self, minor: i64) -> String {
        let exponent = self.exponent();
        let scale = 10_u64.pow(exponent);
        let (major, rest) = (minor.unsigned_abs() / scale, minor.unsigned_abs() % scale);
        let sign = if minor < 0 { "-" } else { "" };
        let symbol = self.symbol();
        let major = group_thousands(major);
        if exponent == 0 {
            return format!("{sign}{symbol}{major}");
        }
        let digits = exponent as usize;
        format!("{sign}{symbol}{major}.{rest:0digits$}")
    }

    fn exponent(&self) -> u32 {
        let listed = EXPONENTS.iter().find(|(_, codes)| codes.contains(&self.0.as_str()));
        listed.map_or(2, |(exponent, _)| *exponent)
    }

    fn symbol(&self) -> String {
        match self.0.as_str() {
            "EUR" => "€".to_owned(),
            "GBP" => "£".to_owned(),
            "USD" => "$".to_owned(),
            code => format!("{code}\u{a0}"),
        }
    }
}

fn group_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(code: &str, minor: i64) -> String {
        Currency::new(code.to_owned()).expect("a currency").format(minor)
    }

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        for (code, minor, expected) in [
            ("EUR", 0, "€0.00"),
            ("EUR", 5, "€0.05"),
            ("EUR", 123_450, "€1,234.50"),
            ("EUR", 100_000_000, "€1,000,000.00"),
            ("GBP", -199, "-£1.99"),
            ("USD", 99_999, "$999.99"),
            ("JPY", 12_345, "JPY\u{a0}12,345"),
            ("KWD", 12_345, "KWD\u{a0}12.345"),
            ("CHF", 100, "CHF\u{a0}1.00"),
            ("EUR", i64::MIN, "-€92,233,720,368,547,758.08"),
        ] {
            assert_eq!(format(code, minor), expected);
        }
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        for bad in ["", "EU", "eur", "EURO", "E€R"] {
            assert_eq!(Currency::new(bad.to_owned()), Err(InvalidCurrency), "{bad}");
        }
    }
}
