//! The client of the schema registry, on a real one.

use events::{Config, Registry, RegistryError};
use futures::future::join_all;
use serde_json::json;
use testkit::{client, endpoints};
use tls::Trust;
use uuid::Uuid;

/// The registry of this test run.
pub(crate) fn registry() -> Registry {
    registry_at(&endpoints().schema_registry_url)
}

pub(crate) fn registry_at(url: &str) -> Registry {
    Registry::new(&Config { schema_registry_url: url.parse().unwrap() }, &Trust::none())
}

/// The setting of a subject, and a new value of it, as a person changes it.
async fn set_compatibility(subject: &str, level: &str) {
    let url = format!("{}/config/{subject}", endpoints().schema_registry_url);
    let answer = client().put(url).json(&json!({ "compatibility": level })).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

/// A record with so many fields. None has a default, so a version with more of them cannot read one with fewer.
fn schema(fields: usize) -> String {
    let fields: Vec<_> =
        (0..fields).map(|number| format!(r#"{{"name": "f{number}", "type": "long"}}"#)).collect();
    format!(r#"{{"type": "record", "name": "R", "fields": [{}]}}"#, fields.join(", "))
}

#[tokio::test]
async fn replicas_that_start_together_register_a_new_schema() {
    let registry = registry();
    // Several subjects, since the registry refuses only some of the calls that it gets at one moment.
    for _ in 0..5 {
        let subject = format!("replicas-{}", Uuid::new_v4());
        let schema = schema(1);
        let results = join_all((0..8).map(|_| registry.register(&subject, &schema))).await;

        let ids: Vec<u32> = results.into_iter().map(Result::unwrap).collect();
        assert!(ids.iter().all(|id| id == &ids[0]), "{ids:?}");
    }
}

#[tokio::test]
async fn an_incompatible_version_is_refused_as_such() {
    let registry = registry();
    let subject = format!("incompatible-{}", Uuid::new_v4());
    registry.register(&subject, &schema(1)).await.unwrap();

    let refused = registry.register(&subject, &schema(2)).await.unwrap_err();

    assert!(matches!(refused, RegistryError::Incompatible { .. }), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains(&subject) && said.contains("make schemas/check"), "{said}");
}

#[tokio::test]
async fn each_start_sets_the_compatibility_again() {
    let registry = registry();
    let subject = format!("level-{}", Uuid::new_v4());
    registry.register(&subject, &schema(1)).await.unwrap();
    set_compatibility(&subject, "NONE").await;
    registry.register(&subject, &schema(1)).await.unwrap();
    registry.register(&subject, &schema(2)).await.unwrap_err();
}

#[tokio::test]
async fn attributes_in_another_order_are_the_same_schema() {
    let registry = registry();
    let subject = format!("order-{}", Uuid::new_v4());
    let id = registry.register(&subject, r#"{"type": "record", "name": "R", "fields": []}"#).await.unwrap();
    let other_order = r#"{"fields": [], "name": "R", "type": "record"}"#;
    assert_eq!(registry.find(&subject, other_order).await.unwrap(), id);
    assert_eq!(registry.register(&subject, other_order).await.unwrap(), id);
}

#[tokio::test]
async fn a_consumer_is_refused_if_it_cannot_read_a_version_that_the_registry_has() {
    let registry = registry();
    let subject = format!("consumer-{}", Uuid::new_v4());
    registry.verify(&subject, &schema(2)).await.expect("there is nothing to read yet");
    registry.register(&subject, &schema(2)).await.unwrap();

    registry.verify(&subject, &schema(2)).await.expect("it is a version");
    registry.verify(&subject, &schema(1)).await.expect("it reads two fields and drops one");
    let refused = registry.verify(&subject, &schema(3)).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Incompatible { .. }), "{refused:?}");
}
