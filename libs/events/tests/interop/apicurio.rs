//! The answers of Apicurio Registry, which checks and does not read.

use std::collections::BTreeMap;

use events::{Config, Registry};
use serde_json::{Value, json};
use testkit::{client, endpoints};
use tls::Trust;
use uuid::Uuid;

use crate::cases::{Answer, Answers, Cases, Resolution};

/// The path of Confluent's API, and that of Apicurio's own which names the version.
const PATHS: (&str, &str) = ("/apis/ccompat/v7", "/apis/registry/v3/system/info");

pub(crate) async fn answers(cases: &Cases) -> Answers {
    let mut resolution = BTreeMap::new();
    for case in &cases.resolution {
        let check = Some(check(case).await.to_owned());
        resolution.insert(case.name.clone(), Answer { check, read: None });
    }
    Answers { version: version().await, resolution, canonical: BTreeMap::new() }
}

async fn version() -> String {
    let url = endpoints().schema_registry_url.replace(PATHS.0, PATHS.1);
    let info: Value = client().get(url).send().await.unwrap().json().await.unwrap();
    info["version"].as_str().unwrap().to_owned()
}

/// Registers the writer's schema, as a service does, and asks whether the reader's may follow.
async fn check(case: &Resolution) -> &'static str {
    let url = endpoints().schema_registry_url.parse().unwrap();
    let registry = Registry::new(&Config { schema_registry_url: url }, &Trust::none());
    let subject = format!("interop-{}-{}", Uuid::new_v4(), case.name);
    registry.register(&subject, &case.writer.to_string()).await.unwrap();
    let base = endpoints().schema_registry_url.trim_end_matches('/');
    let response = client()
        .post(format!("{base}/compatibility/subjects/{subject}/versions/latest"))
        .json(&json!({ "schema": case.reader.to_string(), "schemaType": "AVRO" }))
        .send()
        .await
        .unwrap();
    let verdict: Value = response.error_for_status().unwrap().json().await.unwrap();
    if verdict["is_compatible"].as_bool().unwrap() { "compatible" } else { "incompatible" }
}
