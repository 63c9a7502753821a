#![doc = include_str!("../README.md")]

mod currency;

use std::fmt;

pub use currency::{Currency, UnknownCurrency};

/// An amount of money: whole minor units of a currency. It can be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// Takes an amount in the currency's minor unit.
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

    /// Returns the sum; `None` when the currencies differ or the sum is beyond 64 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let same = self.currency == other.currency;
        let minor = self.minor.checked_add(other.minor).filter(|_| same)?;
        Some(Self { minor, ..self })
    }

    /// Returns the price of so many pieces; `None` when it is beyond 64 bits.
    #[must_use]
    pub fn checked_mul(self, pieces: i64) -> Option<Self> {
        Some(Self { minor: self.minor.checked_mul(pieces)?, ..self })
    }
}

/// Writes the amount for people, as in `€1,234.50` or `CHF 1,234.50` with a space that does not break.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits();
        let scale = 10_u64.pow(digits);
        let (major, rest) = (self.minor.unsigned_abs() / scale, self.minor.unsigned_abs() % scale);
        let sign = if self.minor < 0 { "-" } else { "" };
        write!(f, "{sign}{}{}", Sign(self.currency), group_thousands(major))?;
        if digits == 0 {
            return Ok(());
        }
        write!(f, ".{rest:0width$}", width = digits as usize)
    }
}

/// What stands before an amount of this currency.
struct Sign(Currency);

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.code() {
            "EUR" => f.write_str("€"),
            "GBP" => f.write_str("£"),
            "USD" => f.write_str("$"),
            code => write!(f, "{code}\u{a0}"),
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
mod tests;
