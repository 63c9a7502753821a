//! The client of the schema registry, on a real one.

use events::{Config, Registry, RegistryError};
use futures::future::join_all;
use testkit::endpoints;
use tls::Trust;
use uuid::Uuid;

fn registry() -> Registry {
    let url = endpoints().schema_registry_url.parse().unwrap();
    Registry::new(&Config { schema_registry_url: url }, &Trust::none())
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
}
