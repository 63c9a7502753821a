#![doc = include_str!("../README.md")]

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// An amount of money: whole minor units of a currency. It can be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// Makes an amount in the minor unit of the currency.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Returns the amount in the currency's minor unit.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// Returns the currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Returns the sum; `None` when the currencies differ or the sum exceeds 64 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let same = self.currency == other.currency;
        let minor = self.minor.checked_add(other.minor).filter(|_| same)?;
        Some(Self { minor, ..self })
    }

    /// Returns the price of a number of pieces; `None` when it exceeds 64 bits.
    #[must_use]
    pub fn checked_mul(self, pieces: i64) -> Option<Self> {
        Some(Self { minor: self.minor.checked_mul(pieces)?, ..self })
    }
}

/// Formats the amount in English, as `€1,234.50` or `CHF 1,234.50` with a no-break space.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits();
        let scale = 10_u64.pow(digits);
        let (major, rest) = (self.minor.unsigned_abs() / scale, self.minor.unsigned_abs() % scale);
        let sign = if self.minor < 0 { "-" } else { "" };
        f.write_str(sign)?;
        match self.currency.code {
            "EUR" => f.write_str("€")?,
            "GBP" => f.write_str("£")?,
            "USD" => f.write_str("$")?,
            code => write!(f, "{code}\u{a0}")?,
        }
        f.write_str(&group_thousands(major))?;
        if digits == 0 {
            return Ok(());
        }
        write!(f, ".{rest:0width$}", width = digits as usize)
    }
}

/// A currency of ISO 4217 that has a minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "&'static str")]
pub struct Currency {
    code: &'static str,
    minor_digits: u32,
}

/// The text is not a currency code with a minor unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the code of a currency in ISO 4217 that has a minor unit, such as EUR")]
pub struct UnknownCurrency(String);

impl Currency {
    /// Returns the three-letter code.
    pub fn code(self) -> &'static str {
        self.code
    }

    /// Returns the digits of the minor unit: 2 for EUR, 0 for JPY, 3 for BHD.
    pub fn minor_digits(self) -> u32 {
        self.minor_digits
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        iso_currency::Currency::from_code(code)
            .and_then(|known| Some(Self { code: known.code(), minor_digits: known.exponent()?.into() }))
            .ok_or_else(|| UnknownCurrency(code.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl From<Currency> for &'static str {
    fn from(currency: Currency) -> Self {
        currency.code
    }
}

fn group_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests;
