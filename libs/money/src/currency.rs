//! Currencies, as ISO 4217 lists them.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// A currency of ISO 4217 that has a minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "&'static str")]
pub struct Currency {
    code: &'static str,
    minor_digits: u32,
}

/// The text is no currency in which anything can have a price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the code of a currency in ISO 4217 that has a minor unit, such as EUR")]
pub struct UnknownCurrency(String);

impl Currency {
    /// Returns the three letters of the code.
    pub fn code(self) -> &'static str {
        self.code
    }

    /// Returns how many digits the minor unit has: 2 for euros, 0 for yen, 3 for dinars of Bahrain.
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
