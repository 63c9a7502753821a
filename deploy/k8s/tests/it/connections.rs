//! Whether the database takes all connections that all pods can open at once, and whom it lets in.

use serde_json::Value;

use crate::{
    manifests::{Manifest, SERVICES, rendered},
    settings::value,
};

/// A session for a lock that outlasts transactions, outside the pool: `pg::Pool::dedicated`.
const DEDICATED: u64 = 1;

/// PostgreSQL's `superuser_reserved_connections`, which no service gets.
const SUPERUSER: u64 = 3;

/// For an operator that looks after the cluster, its metrics, and a person with psql.
const UPKEEP: u64 = 10;

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Connections in the pool of one pod.
fn pool(manifest: &Manifest, service: &str) -> u64 {
    value(manifest, service, "DATABASE_POOL_SIZE").parse().unwrap()
}

/// Pods of a service at most, those of a roll-out included.
fn pods(manifest: &Manifest, service: &str) -> u64 {
    let deployment = manifest.find("Deployment", service).unwrap();
    let scaled = manifest.find("HorizontalPodAutoscaler", service).map(|it| &it["spec"]["maxReplicas"]);
    let replicas = number(scaled.unwrap_or(&deployment["spec"]["replicas"])).unwrap();
    let surge = &deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"];
    replicas + surge.as_u64().expect("maxSurge is a number of pods")
}

fn of_parts(manifest: &Manifest) -> u64 {
    let Some(registry) = manifest.find("Deployment", "registry") else { return 0 };
    let variables = registry["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let size = variables.iter().find(|it| it["name"] == "APICURIO_DATASOURCE_JDBC_MAX_SIZE").unwrap();
    number(&size["value"]).unwrap()
}

fn max_connections(manifest: &Manifest) -> u64 {
    if let Some(cluster) = manifest.find("Cluster", "postgres") {
        return number(&cluster["spec"]["postgresql"]["parameters"]["max_connections"]).unwrap();
    }
    let server = &manifest.find("StatefulSet", "postgres").unwrap()["spec"]["template"]["spec"];
    let arguments = server["containers"][0]["args"].as_array().unwrap();
    let setting = arguments.iter().find_map(|it| it.as_str()?.strip_prefix("max_connections="));
    setting.unwrap().parse().unwrap()
}

#[test]
fn max_connections_covers_all_pools() {
    for manifest in rendered().unwrap() {
        let services: u64 = SERVICES
            .iter()
            .map(|service| pods(&manifest, service) * (pool(&manifest, service) + DEDICATED))
            .sum();
        let jobs = manifest.of_kind("Job").filter(|job| {
            job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == "migration"
        });
        let needed = services + jobs.count() as u64 + of_parts(&manifest) + SUPERUSER + UPKEEP;
        let taken = max_connections(&manifest);
        assert!(needed <= taken, "{}: {needed} can be opened, {taken} are taken", manifest.overlay);
    }
}

/// PostgreSQL uses the first rule that matches.
#[test]
fn a_role_reaches_its_own_database_over_tls_and_no_other() {
    let overlays = rendered().unwrap();
    let production = overlays.iter().find(|manifest| manifest.overlay == "production").unwrap();
    let cluster = &production.find("Cluster", "postgres").unwrap()["spec"];
    let rules: Vec<_> = cluster["postgresql"]["pg_hba"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule.as_str().unwrap())
        .collect();
    let roles: Vec<_> = cluster["managed"]["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["name"].as_str().unwrap())
        .collect();
    assert_eq!(roles.len(), SERVICES.len());
    let (last, own) = rules.split_last().unwrap();
    let expected: Vec<_> =
        roles.iter().map(|role| format!("hostssl {role} {role} all scram-sha-256")).collect();
    assert_eq!(own, expected);
    assert_eq!(*last, format!("host all {} all reject", roles.join(",")));
}
