//! What is secret comes from a Secret, and no Secret is in a file.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifests::{Pod, containers, directory, rendered};

/// Whether the name of a setting says that its value is secret.
fn is_secret(name: &str) -> bool {
    let endings = ["PASSWORD", "_KEY", "_KEYS", "_TOKEN", "DATABASE_URL"];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// Names of the Secrets that a pod mentions, wherever.
fn mentioned(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = match key.as_str() {
                    "secretRef" | "secretKeyRef" | "passwordSecret" => &value["name"],
                    "secret" => &value["secretName"],
                    _ => &Value::Null,
                };
                names.extend(name.as_str().map(str::to_owned));
                mentioned(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| mentioned(item, names)),
        _ => {}
    }
}

#[test]
fn no_file_holds_a_secret() {
    for manifest in rendered().unwrap() {
        assert_eq!(manifest.of_kind("Secret").count(), 0, "{}", manifest.overlay);
        for map in manifest.of_kind("ConfigMap") {
            for (name, value) in map["data"].as_object().unwrap() {
                assert!(!is_secret(name), "{} {}: {name}", manifest.overlay, map["metadata"]["name"]);
                let value = value.as_str().unwrap();
                let has_password = value
                    .split("://")
                    .skip(1)
                    .any(|rest| rest.split(['/', '"', '\n']).next().unwrap_or_default().contains('@'));
                assert!(!has_password, "{} {}: {name}", manifest.overlay, map["metadata"]["name"]);
            }
        }
    }
}

#[test]
fn secret_settings_come_from_secrets() {
    for manifest in rendered().unwrap() {
        for Pod { name, spec, .. } in manifest.pods() {
            for variable in containers(spec).filter_map(|it| it["env"].as_array()).flatten() {
                if is_secret(variable["name"].as_str().unwrap()) {
                    let source = &variable["valueFrom"]["secretKeyRef"];
                    assert!(source.is_object(), "{} {name}: {variable}", manifest.overlay);
                }
            }
        }
    }
}

#[test]
fn every_required_secret_is_documented() {
    let text = std::fs::read_to_string(directory().join("../../docs/kubernetes.md")).unwrap();
    for manifest in rendered().unwrap() {
        let mut names = BTreeSet::new();
        manifest.documents.iter().for_each(|document| mentioned(document, &mut names));
        assert!(names.len() >= 5, "{names:?}");
        for name in names {
            let row = format!("| `{name}` |");
            assert!(text.contains(&row), "docs/kubernetes.md says nothing about the Secret {name}");
        }
    }
}
