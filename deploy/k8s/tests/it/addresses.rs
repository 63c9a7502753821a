//! The addresses that a pod connects to, as its settings, arguments and files name them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifests::{Manifest, Pod, SERVICES, containers};

/// A Service of the namespace, or `SERVICE.NAMESPACE`, and its port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u64,
}

/// Every address that a pod knows. `DATABASE_URL` is secret, so its address comes from docs/kubernetes.md.
pub(crate) fn of_pod(manifest: &Manifest, pod: Pod<'_>) -> BTreeSet<Address> {
    let mut found = BTreeSet::new();
    for container in containers(pod.spec) {
        let args = container["args"].as_array().into_iter().flatten();
        let env = container["env"].as_array().into_iter().flatten().map(|variable| &variable["value"]);
        args.chain(env).filter_map(Value::as_str).for_each(|text| found.extend(of_text(text)));
    }
    for data in config_maps(manifest, pod).map(|map| &map["data"]) {
        let values = data.as_object().unwrap().values().filter_map(Value::as_str);
        values.for_each(|text| found.extend(of_text(text)));
        if let (Some(host), Some(port)) = (data["SMTP_HOST"].as_str(), data["SMTP_PORT"].as_str()) {
            found.insert(Address { host: host.to_owned(), port: port.parse().unwrap() });
        }
    }
    if SERVICES.contains(&pod.name.trim_end_matches("-migration")) {
        let host = if manifest.overlay == "production" { "postgres-rw.muster-data" } else { "postgres" };
        found.insert(Address { host: host.to_owned(), port: 5432 });
    }
    found
}

/// The `ConfigMap`s that a pod reads as variables or files.
fn config_maps<'a>(manifest: &'a Manifest, pod: Pod<'a>) -> impl Iterator<Item = &'a Value> {
    let sources = containers(pod.spec).filter_map(|container| container["envFrom"].as_array()).flatten();
    let variables = sources.map(|source| &source["configMapRef"]["name"]);
    let volumes = pod.spec["volumes"].as_array().into_iter().flatten();
    let files = volumes.map(|volume| &volume["configMap"]["name"]);
    variables.chain(files).filter_map(|name| manifest.find("ConfigMap", name.as_str()?))
}

/// `HOST:PORT`, and the host and port of URLs, in a text. An HTTP URL without a port has port 80.
pub(crate) fn of_text(text: &str) -> impl Iterator<Item = Address> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !".:-/".contains(c)).filter_map(|word| {
        let (authority, default) = match word.split_once("://") {
            Some(("http", rest)) => (rest, Some(80)),
            Some((_, rest)) => (rest, None),
            None => (word, None),
        };
        let authority = authority.split('/').next()?;
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (authority, default),
        };
        Some(Address { host: host.to_owned(), port: port? })
    })
}

#[test]
fn addresses_are_found_in_lists_urls_and_arguments() {
    let text =
        "a:1,b:2 --url=http://c:3/path jdbc:postgresql://d:4/name http://e \"f:5\" 2026-11-30T10:00Z slo:x";
    let found: Vec<_> = of_text(text).map(|it| format!("{}:{}", it.host, it.port)).collect();
    for expected in ["a:1", "b:2", "c:3", "d:4", "e:80", "f:5"] {
        assert!(found.iter().any(|it| it == expected), "{expected}: {found:?}");
    }
}
