//! Whether the network policies admit every connection that the pods need. Few test clusters enforce policies, so nothing else shows a
//! missing one.

use serde_json::{Value, json};

use crate::{
    addresses::{Address, of_pod, of_text},
    manifests::{Manifest, Pod, SERVICES, rendered},
};

/// Each direction of a policy, with the key of the peers in its rules.
const EGRESS: (&str, &str) = ("egress", "to");
const INGRESS: (&str, &str) = ("ingress", "from");

/// Whether a label selector selects a pod with these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let matches = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    matches.into_iter().all(|(key, value)| &labels[key] == value)
        && expressions.into_iter().all(|it| {
            assert_eq!(it["operator"], "In", "the tests know no other operator");
            it["values"].as_array().unwrap().contains(&labels[it["key"].as_str().unwrap()])
        })
}

/// Whether a rule for pods with these labels admits a peer at one of the names of a port.
fn admits(
    manifest: &Manifest,
    (direction, peers): (&str, &str),
    labels: &Value,
    is_peer: impl Fn(&Value) -> bool,
    port: &[Value],
) -> bool {
    let policies = manifest.of_kind("NetworkPolicy");
    let of_pod = policies.filter(|policy| selects(&policy["spec"]["podSelector"], labels));
    let mut rules = of_pod.flat_map(|policy| policy["spec"][direction].as_array().into_iter().flatten());
    rules.any(|rule| {
        rule[peers].as_array().unwrap().iter().any(&is_peer)
            && rule["ports"].as_array().unwrap().iter().any(|it| port.contains(&it["port"]))
    })
}

/// Whether a peer of a rule is a pod of the same namespace with these labels.
fn is_pod(peer: &Value, labels: &Value) -> bool {
    peer["namespaceSelector"].is_null() && selects(&peer["podSelector"], labels)
}

/// Fails unless both sides admit a connection from a pod with these labels to an address.
fn check(manifest: &Manifest, from: &Value, address: &Address) {
    let Address { host, port } = address;
    let what = format!("{} {from} to {host}:{port}", manifest.overlay);
    if let Some((_, namespace)) = host.split_once('.') {
        let is_namespace = |peer: &Value| {
            peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == *namespace
        };
        assert!(admits(manifest, EGRESS, from, is_namespace, &[json!(port)]), "{what}: no egress");
        return;
    }
    let service = &manifest.find("Service", host).unwrap()["spec"];
    let pods = manifest.pods();
    let to = pods.iter().find(|pod| pod.has_labels(&service["selector"])).unwrap();
    let ports = service["ports"].as_array().unwrap();
    let target = &ports.iter().find(|it| it["port"] == *port).expect(&what)["targetPort"];
    let of_container = to.spec["containers"][0]["ports"].as_array().unwrap();
    let number = &of_container.iter().find(|it| it["name"] == *target).expect(&what)["containerPort"];
    let port = [target.clone(), number.clone()];
    assert!(admits(manifest, EGRESS, from, |it| is_pod(it, to.labels), &port), "{what}: no egress");
    assert!(admits(manifest, INGRESS, to.labels, |it| is_pod(it, from), &port), "{what}: no ingress");
}

/// Whether an address is one of the cluster; texts contain others, such as public ones.
fn is_in_cluster(manifest: &Manifest, address: &Address) -> bool {
    let is_namespace = |name| ["muster-data", "telemetry", "mail-relay"].contains(&name);
    manifest.find("Service", &address.host).is_some()
        || address.host.split_once('.').is_some_and(|(_, namespace)| is_namespace(namespace))
}

/// Whether an address is that of the pod itself.
fn is_own(manifest: &Manifest, pod: &Pod<'_>, address: &Address) -> bool {
    let service = manifest.find("Service", &address.host);
    service.is_some_and(|service| pod.has_labels(&service["spec"]["selector"]))
}

#[test]
fn every_address_in_the_settings_of_a_pod_can_be_reached() {
    for manifest in rendered().unwrap() {
        let mut n_connections = 0;
        for pod in manifest.pods() {
            for address in of_pod(&manifest, pod) {
                if is_in_cluster(&manifest, &address) && !is_own(&manifest, &pod, &address) {
                    check(&manifest, pod.labels, &address);
                    n_connections += 1;
                }
            }
        }
        // The database for three services and their migrations, the collector for three; broker and registry for two; mails and links.
        assert!(n_connections >= 15, "{}: {n_connections} connections", manifest.overlay);
    }
}

#[test]
fn the_check_reaches_what_it_uses() {
    for manifest in rendered().unwrap().into_iter().filter(|manifest| manifest.overlay != "production") {
        let client = json!({ "app.kubernetes.io/name": "cluster-check" });
        let product = &manifest.find("ConfigMap", "cluster-check").unwrap()["data"]["product.toml"];
        // It prints the address of Prometheus, for people.
        let used = of_text(product.as_str().unwrap()).filter(|it| it.host != "prometheus");
        let used: Vec<_> = used.filter(|address| is_in_cluster(&manifest, address)).collect();
        assert!(used.len() >= 7, "{used:?}");
        for address in &used {
            check(&manifest, &client, address);
        }
    }
}

#[test]
fn prometheus_reaches_the_metrics_of_every_service() {
    for manifest in rendered().unwrap().into_iter().filter(|manifest| manifest.overlay != "production") {
        let pods = manifest.pods();
        let prometheus = pods.iter().find(|pod| pod.name == "prometheus").unwrap();
        for service in SERVICES {
            let metrics = Address { host: format!("{service}-admin"), port: 9090 };
            check(&manifest, prometheus.labels, &metrics);
        }
    }
}
