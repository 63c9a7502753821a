use actix_web::test::TestRequest;
use api_error::Code;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn try_hash(body: &[u8]) -> Result<Vec<u8>, ApiError> {
    Fingerprint::of(&TestRequest::post().to_http_request(), body).map(|fingerprint| fingerprint.body_hash)
}

fn body_hash(body: &str) -> Vec<u8> {
    try_hash(body.as_bytes()).unwrap()
}

/// Any value. Fractions are such that no other spelling of a number in here has the same value.
fn json() -> impl Strategy<Value = Value> {
    let integers = -((1_i64 << 53) - 1)..(1_i64 << 53);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integers.prop_map(Value::from),
        any::<i32>().prop_map(|whole| Value::from(f64::from(whole) + 0.5)),
        "\\PC{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("\\PC{0,6}", inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// The same value, its members in reverse order and spread over lines, every character of its strings escaped.
fn spread(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .rev()
                .map(|(name, value)| format!("{} :\n {}", escaped(name), spread(value)))
                .collect();
            format!("{{ {} }}", members.join(" ,\t"))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(spread).collect();
            format!("[ {} ]", items.join(" ,\r\n"))
        }
        Value::String(text) => escaped(text),
        leaf => leaf.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let units: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    let units = units.concat();
    format!("\"{units}\"")
}

/// The places in a value at which there is a leaf.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| leaves(value, &format!("{at}/{}", escape(name)), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| leaves(value, &format!("{at}/{index}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

proptest! {
    #[test]
    fn spacing_order_and_spelling_do_not_matter(value in json()) {
        prop_assert_eq!(body_hash(&value.to_string()), body_hash(&spread(&value)));
    }

    #[test]
    fn values_do(left in json(), right in json()) {
        prop_assume!(left != right);
        prop_assert_ne!(body_hash(&left.to_string()), body_hash(&right.to_string()));
    }

    #[test]
    fn one_other_value_anywhere_is_another_body(value in json(), other in json(), pick in any::<prop::sample::Index>()) {
        let mut places = Vec::new();
        leaves(&value, "", &mut places);
        prop_assume!(!places.is_empty());
        let mut changed = value.clone();
        let place: &String = pick.get(&places);
        *changed.pointer_mut(place).unwrap() = other;
        prop_assume!(changed != value);
        prop_assert_ne!(body_hash(&value.to_string()), body_hash(&changed.to_string()));
    }
}

#[test]
fn a_number_is_its_value_however_it_is_written() {
    assert_eq!(body_hash("[1]"), body_hash("[1.0]"));
    assert_eq!(body_hash("[100]"), body_hash("[1E2]"));
    assert_ne!(body_hash("[1]"), body_hash("[\"1\"]"));
}

#[test]
fn no_body_is_not_an_empty_one_of_json() {
    assert_ne!(body_hash(""), body_hash("{}"));
    assert_ne!(body_hash(""), body_hash("null"));
}

#[test]
fn a_body_that_two_readers_could_read_differently_is_refused() {
    for ambiguous in [
        r#"{"a":1,"a":1}"#,
        r#"[{"b":{"a":1,"\u0061":2}}]"#,
        "9007199254740992",
        "-9007199254740992",
        "18446744073709551616",
        "1e300",
    ] {
        let error = try_hash(ambiguous.as_bytes()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{ambiguous}");
        assert_eq!(error.details().len(), 1, "{error:?}");
    }
    for broken in ["{", "{} {}", "nul", "\u{feff}{}"] {
        assert_eq!(try_hash(broken.as_bytes()).unwrap_err().code(), Code::MalformedJson, "{broken}");
    }
    assert!(try_hash(b"[9007199254740991,-9007199254740991]").is_ok());
}

#[test]
fn the_order_of_query_names_does_not_matter_but_that_of_their_values_does() {
    assert_eq!(canonical_query("b=1&a=2"), canonical_query("a=2&b=1"));
    assert_ne!(canonical_query("a=1&a=2"), canonical_query("a=2&a=1"));
    assert_eq!(canonical_query("a=x%20y&b"), canonical_query("%61=x+y&b="));
    assert_ne!(canonical_query("a=1%26b=2"), canonical_query("a=1&b=2"));
}

#[test]
fn what_differs_is_named() {
    let base = Fingerprint::of(&TestRequest::post().uri("/x?a=1").to_http_request(), b"{}").unwrap();
    let other = Fingerprint::of(&TestRequest::put().uri("/y?a=2").to_http_request(), b"[]").unwrap();
    assert_eq!(base.differences(&other).parts, ["method", "route", "query", "body"]);
    let older = Fingerprint { version: VERSION - 1, ..other };
    assert_eq!(base.differences(&older).parts, ["method", "route"], "hashes of another version say nothing");
}

#[test]
fn member_names_are_sorted_as_the_standard_says() {
    // By UTF-16 code unit, where an emoji comes before U+FB33 (RFC 8785, section 3.2.3).
    let value = json!({"\u{fb33}": 1, "\u{1f600}": 2});
    assert_eq!(canonical(&value).unwrap(), "{\"\u{1f600}\":2,\"\u{fb33}\":1}".as_bytes());
}
