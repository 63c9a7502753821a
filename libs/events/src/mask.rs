//! Events for people: every value is masked, except those of fields that are known to hold no personal data.

use serde_json::{Map, Value};

/// What is shown instead of a value.
pub const MASK: &str = "***";

/// Masks every value whose field is not in `shown`. The path of a field has dots between names; the elements of an array have the path of
/// the array. A new field is masked until it is added to `shown`.
pub fn masked(value: &Value, shown: &[&str]) -> Value {
    at_path(value, "", shown)
}

fn at_path(value: &Value, path: &str, shown: &[&str]) -> Value {
    match value {
        Value::Object(members) => Value::Object(members_at(members, path, shown)),
        Value::Array(elements) => {
            Value::Array(elements.iter().map(|element| at_path(element, path, shown)).collect())
        }
        Value::Null => Value::Null,
        scalar if shown.contains(&path) => scalar.clone(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => MASK.into(),
    }
}

fn members_at(members: &Map<String, Value>, path: &str, shown: &[&str]) -> Map<String, Value> {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    members.iter().map(|(name, value)| (name.clone(), at_path(value, &below(name), shown))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_listed_fields_are_shown() {
        let event = json!({
            "order_id": "17", "email": "ada@example.com", "gift": true, "note": null,
            "lines": [{ "sku": "A-1", "name": "Ada's mug", "tags": ["x"] }],
            "sku": "not of a line",
        });
        let shown = masked(&event, &["order_id", "lines.sku", "note"]);
        let expected = json!({
            "order_id": "17", "email": "***", "gift": "***", "note": null,
            "lines": [{ "sku": "A-1", "name": "***", "tags": ["***"] }],
            "sku": "***",
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_object_in_place_of_a_listed_value_is_masked() {
        assert_eq!(masked(&json!({ "a": { "b": 1 } }), &["a"]), json!({ "a": { "b": "***" } }));
        assert_eq!(masked(&json!("ada@example.com"), &["a"]), json!("***"));
    }
}
