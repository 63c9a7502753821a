use proptest::{prelude::any, prop_assert, prop_assert_eq, proptest, sample::select};

use super::*;

fn currency(code: &str) -> Currency {
    code.parse().expect("a currency")
}

/// Every currency there is.
fn currencies() -> Vec<Currency> {
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
    codes.filter_map(|code| String::from_iter(code).parse().ok()).collect()
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
        ("JPY", 4_500, "JPY\u{a0}4,500"),
        ("BHD", 3_702, "BHD\u{a0}3.702"),
        ("BHD", -5, "-BHD\u{a0}0.005"),
        ("CLF", 12_345, "CLF\u{a0}1.2345"),
        ("CHF", 100, "CHF\u{a0}1.00"),
        ("EUR", i64::MIN, "-€92,233,720,368,547,758.08"),
    ] {
        assert_eq!(Money::new(minor, currency(code)).to_string(), expected);
    }
}

#[test]
fn the_list_is_that_of_iso_4217() {
    let with = |digits| currencies().into_iter().filter(move |currency| currency.minor_digits() == digits);
    let codes = |digits| with(digits).map(Currency::code).collect::<Vec<_>>();
    assert_eq!(
        codes(0),
        [
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV",
            "XAF", "XOF", "XPF"
        ]
    );
    assert_eq!(codes(3), ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]);
    assert_eq!(codes(4), ["CLF", "UYW"]);
    assert_eq!(currencies().len(), codes(0).len() + codes(2).len() + codes(3).len() + codes(4).len());
}

#[test]
fn what_has_no_price_is_no_currency() {
    for bad in
        ["", "EU", "eur", "Eur", "EURO", "E€R", "EUX", "DEM", " EUR", "978", "XAU", "XDR", "XTS", "XXX"]
    {
        assert!(bad.parse::<Currency>().is_err(), "{bad}");
        assert!(serde_json::from_value::<Currency>(bad.into()).is_err(), "{bad}");
    }
    let error = serde_json::from_str::<Currency>("\"EUX\"").unwrap_err().to_string();
    assert!(error.contains("`EUX`") && error.contains("ISO 4217"), "{error}");
    assert_eq!(serde_json::to_string(&currency("BHD")).unwrap(), "\"BHD\"");
}

#[test]
fn a_sum_has_one_currency_and_fits() {
    let euros = |minor| Money::new(minor, currency("EUR"));
    assert_eq!(euros(1).checked_add(euros(2)), Some(euros(3)));
    assert_eq!(euros(1).checked_add(Money::new(2, currency("CHF"))), None);
    assert_eq!(euros(i64::MAX).checked_add(euros(1)), None);
    assert_eq!(euros(499).checked_mul(3), Some(euros(1_497)));
    assert_eq!(euros(i64::MAX).checked_mul(2), None);
}

proptest! {
    /// For every currency, the digits of the text are the number of minor units.
    #[test]
    fn the_text_says_exactly_the_amount(currency in select(currencies()), minor in any::<i64>()) {
        let text = Money::new(minor, currency).to_string();
        let number = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let (major, rest) = number.split_once('.').unwrap_or((number, ""));

        prop_assert_eq!(rest.len(), currency.minor_digits() as usize, "{}", text);
        let groups: Vec<_> = major.split(',').collect();
        prop_assert!((1..=3).contains(&groups[0].len()), "{}", text);
        prop_assert!(groups[1..].iter().all(|group| group.len() == 3), "{}", text);

        let digits = groups.concat() + rest;
        prop_assert!(major == "0" || !major.starts_with('0'), "{}", text);
        prop_assert_eq!(digits.parse::<u64>().unwrap(), minor.unsigned_abs(), "{}", text);
        prop_assert_eq!(text.starts_with('-'), minor < 0, "{}", text);
    }
}
