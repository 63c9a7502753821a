//! A pod can do what it needs, and nothing that an intruder in it would like.

use serde_json::{Value, json};

use crate::manifests::{Manifest, Pod, SERVICES, containers, rendered};

/// Calls `check` with every pod of every overlay.
fn for_every_pod(check: impl Fn(&Manifest, Pod<'_>)) {
    for manifest in rendered().unwrap() {
        let pods = manifest.pods();
        assert!(pods.len() >= 2 * SERVICES.len(), "{} has too few pods to be right", manifest.overlay);
        for pod in pods {
            check(&manifest, pod);
        }
    }
}

#[test]
fn every_namespace_enforces_the_restricted_profile() {
    for manifest in rendered().unwrap() {
        assert!(manifest.of_kind("Namespace").count() > 0);
        for namespace in manifest.of_kind("Namespace") {
            let labels = &namespace["metadata"]["labels"];
            assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted", "{}", manifest.overlay);
        }
    }
}

#[test]
fn no_pod_runs_as_root_or_uses_its_node() {
    for_every_pod(|manifest, Pod { name, spec, .. }| {
        let context = &spec["securityContext"];
        assert_eq!(context["runAsNonRoot"], true, "{} {name}", manifest.overlay);
        assert!(context["runAsUser"].as_u64().unwrap() > 0, "{} {name}", manifest.overlay);
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{} {name}", manifest.overlay);
        for forbidden in ["hostNetwork", "hostPID", "hostIPC"] {
            assert_eq!(spec[forbidden], Value::Null, "{} {name}", manifest.overlay);
        }
        for volume in spec["volumes"].as_array().into_iter().flatten() {
            assert_eq!(volume["hostPath"], Value::Null, "{} {name}", manifest.overlay);
        }
    });
}

#[test]
fn no_container_gains_rights_or_writes_to_its_image() {
    for_every_pod(|manifest, Pod { name, spec, .. }| {
        for container in containers(spec) {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{} {name}", manifest.overlay);
            assert_eq!(context["readOnlyRootFilesystem"], true, "{} {name}", manifest.overlay);
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{} {name}", manifest.overlay);
            assert_eq!(context["privileged"], Value::Null, "{} {name}", manifest.overlay);
        }
    });
}

#[test]
fn no_pod_holds_a_token_of_the_cluster() {
    for_every_pod(|manifest, Pod { name, spec, .. }| {
        assert_eq!(spec["automountServiceAccountToken"], false, "{} {name}", manifest.overlay);
        let account = spec["serviceAccountName"].as_str().unwrap();
        let account = manifest.find("ServiceAccount", account).unwrap();
        assert_eq!(account["automountServiceAccountToken"], false, "{} {name}", manifest.overlay);
    });
}

#[test]
fn every_container_has_requests_and_limits() {
    for_every_pod(|manifest, Pod { name, spec, .. }| {
        for container in containers(spec) {
            for kind in ["requests", "limits"] {
                for resource in ["cpu", "memory"] {
                    let amount = &container["resources"][kind][resource];
                    assert!(amount.is_string(), "{} {name}: no {kind} of {resource}", manifest.overlay);
                }
            }
        }
    });
}

#[test]
fn every_image_has_a_version_other_than_latest() {
    for_every_pod(|manifest, Pod { name, spec, .. }| {
        for container in containers(spec) {
            let image = container["image"].as_str().unwrap();
            let tag = image.rsplit_once('/').unwrap().1.split_once([':', '@']).map(|(_, tag)| tag);
            let tag = tag.unwrap_or_else(|| panic!("{} {name}: {image} has no version", manifest.overlay));
            let is_version = tag.starts_with("sha256:") || tag.contains('.');
            assert!(is_version, "{} {name}: {image} is no version", manifest.overlay);
            assert_eq!(container["imagePullPolicy"], "IfNotPresent", "{} {name}", manifest.overlay);
        }
    });
}

#[test]
fn network_policies_deny_by_default_in_both_directions() {
    for manifest in rendered().unwrap() {
        let deny_all = manifest.find("NetworkPolicy", "deny-all").unwrap();
        let expected = json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] });
        assert_eq!(deny_all["spec"], expected, "{}", manifest.overlay);
    }
}

#[test]
fn every_network_policy_rule_has_pods_peers_and_ports() {
    for manifest in rendered().unwrap() {
        for policy in manifest.of_kind("NetworkPolicy") {
            let name = policy["metadata"]["name"].as_str().unwrap();
            for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
                for rule in policy["spec"][direction].as_array().into_iter().flatten() {
                    let is_bounded = |key: &str| rule[key].as_array().is_some_and(|list| !list.is_empty());
                    assert!(is_bounded(peers) && is_bounded("ports"), "{} {name}: {rule}", manifest.overlay);
                }
            }
            let selector = policy["spec"]["podSelector"].as_object().unwrap();
            assert!(
                !selector.is_empty() || ["deny-all", "names"].contains(&name),
                "{} {name}",
                manifest.overlay
            );
        }
    }
}
