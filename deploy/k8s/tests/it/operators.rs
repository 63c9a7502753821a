//! The resources of operators, as far as the overlays use them: CloudNativePG 1.25, Strimzi 0.49 and prometheus-operator 0.80 or
//! later. Kubernetes does not know their types, so these are ours, read off their definitions: a field that is not here is either
//! misspelt or has to be looked up there before it is added.

#![expect(dead_code, reason = "read to see that it can be read")]
#![expect(clippy::struct_field_names, reason = "the names are those of the operators")]

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document<S> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: S,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    namespace: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    #[serde(rename = "matchLabels")]
    match_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    requests: BTreeMap<String, String>,
    limits: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceMonitor {
    job_label: String,
    selector: Labels,
    endpoints: Vec<Endpoint>,
    sample_limit: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Endpoint {
    port: String,
    interval: String,
    scrape_timeout: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Cluster {
    instances: u32,
    image_name: String,
    primary_update_strategy: UpdateStrategy,
    affinity: Affinity,
    postgresql: Postgresql,
    resources: Resources,
    storage: Size,
    wal_storage: Size,
    managed: Managed,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum UpdateStrategy {
    Unsupervised,
    Supervised,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Affinity {
    enable_pod_anti_affinity: bool,
    topology_key: String,
    pod_anti_affinity_type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Postgresql {
    synchronous: Synchronous,
    parameters: BTreeMap<String, String>,
    pg_hba: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Synchronous {
    method: String,
    number: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    size: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Managed {
    roles: Vec<Role>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Role {
    name: String,
    ensure: String,
    login: bool,
    password_secret: Name,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Database {
    name: String,
    owner: String,
    cluster: Name,
    database_reclaim_policy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KafkaNodePool {
    replicas: u32,
    roles: Vec<String>,
    storage: Jbod,
    resources: Resources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Jbod {
    r#type: String,
    volumes: Vec<Volume>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Volume {
    id: u32,
    r#type: String,
    size: String,
    delete_claim: bool,
    kraft_metadata: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kafka {
    kafka: Brokers,
    entity_operator: EntityOperator,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Brokers {
    listeners: Vec<Listener>,
    config: BTreeMap<String, Value>,
    template: BrokerTemplate,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BrokerTemplate {
    kafka_container: Container,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Container {
    security_context: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listener {
    name: String,
    port: u16,
    r#type: String,
    tls: bool,
    authentication: ListenerAuthentication,
    network_policy_peers: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntityOperator {
    topic_operator: BTreeMap<String, Value>,
    user_operator: BTreeMap<String, Value>,
    template: EntityOperatorTemplate,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntityOperatorTemplate {
    topic_operator_container: Container,
    user_operator_container: Container,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListenerAuthentication {
    r#type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KafkaUser {
    authentication: UserAuthentication,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserAuthentication {
    r#type: String,
    password: Password,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Password {
    value_from: PasswordSource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PasswordSource {
    secret_key_ref: SecretKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretKey {
    name: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KafkaTopic {
    partitions: u32,
    replicas: u32,
    config: BTreeMap<String, Value>,
}

/// Reads a document as its type; fails for a kind that no overlay is meant to have.
pub(crate) fn check(document: &Value) -> Result<(), String> {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    match (version, document["kind"].as_str().unwrap_or_default()) {
        ("monitoring.coreos.com/v1", "ServiceMonitor") => read::<ServiceMonitor>(document),
        ("postgresql.cnpg.io/v1", "Cluster") => read::<Cluster>(document),
        ("postgresql.cnpg.io/v1", "Database") => read::<Database>(document),
        ("kafka.strimzi.io/v1", "KafkaNodePool") => read::<KafkaNodePool>(document),
        ("kafka.strimzi.io/v1", "Kafka") => read::<Kafka>(document),
        ("kafka.strimzi.io/v1", "KafkaTopic") => read::<KafkaTopic>(document),
        ("kafka.strimzi.io/v1", "KafkaUser") => read::<KafkaUser>(document),
        (version, kind) => Err(format!("the tests have no type for {kind} of {version}")),
    }
}

fn read<S: DeserializeOwned>(document: &Value) -> Result<(), String> {
    Document::<S>::deserialize(document).map(drop).map_err(|error| error.to_string())
}
