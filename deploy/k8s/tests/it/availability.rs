//! A pod can go at any time without anybody noticing.

use serde_json::{Value, json};

use crate::manifests::{Manifest, Pod, SERVICES, containers, rendered};

/// Services that requests come to.
const WITH_API: [&str; 2] = ["orders", "url-shortener"];

/// What happens after the drain: the last spans leave and the admin port closes.
const AFTER_DRAIN_MS: u64 = 3_000;

fn service<'a>(manifest: &'a Manifest, name: &str) -> Pod<'a> {
    let pods = manifest.pods();
    *pods.iter().find(|pod| pod.name == name && pod.is_long_running()).unwrap()
}

/// The settings of a service, from the generated map that its pod names.
fn settings<'a>(manifest: &'a Manifest, pod: Pod<'_>) -> &'a Value {
    let sources = pod.spec["containers"][0]["envFrom"].as_array().unwrap();
    let map = sources.iter().find_map(|source| source["configMapRef"]["name"].as_str()).unwrap();
    &manifest.find("ConfigMap", map).unwrap()["data"]
}

#[test]
fn every_long_running_container_has_three_probes_with_three_budgets() {
    for manifest in rendered().unwrap() {
        for pod in manifest.pods().into_iter().filter(Pod::is_long_running) {
            let container = &pod.spec["containers"][0];
            let budget = |probe: &str| {
                let probe = &container[probe];
                assert!(probe.is_object(), "{} {}: no {probe}", manifest.overlay, pod.name);
                probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap()
            };
            let (startup, readiness, liveness) =
                (budget("startupProbe"), budget("readinessProbe"), budget("livenessProbe"));
            assert!(readiness < liveness, "{}: restarted before it is out of rotation", pod.name);
            assert!(startup >= 30 || startup >= liveness, "{}: no time to start", pod.name);
        }
    }
}

#[test]
fn only_readiness_of_a_service_depends_on_its_parts() {
    for manifest in rendered().unwrap() {
        for name in SERVICES {
            let container = &service(&manifest, name).spec["containers"][0];
            assert_eq!(container["readinessProbe"]["httpGet"], json!({ "path": "/ready", "port": "admin" }));
            assert_eq!(container["livenessProbe"]["httpGet"], json!({ "path": "/live", "port": "admin" }));
            assert_ne!(container["startupProbe"]["httpGet"]["path"], "/ready", "{name}");
        }
    }
}

#[test]
fn the_grace_period_is_longer_than_the_shutdown_of_a_service() {
    for manifest in rendered().unwrap() {
        for name in SERVICES {
            let pod = service(&manifest, name);
            let settings = settings(&manifest, pod);
            let ms = |setting: &str| settings[setting].as_str().unwrap().parse::<u64>().unwrap();
            let pre_stop = pod.spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64();
            assert_eq!(pre_stop.is_some(), WITH_API.contains(&name), "{name}");
            let needed = pre_stop.unwrap_or(0) * 1000
                + ms("SHUTDOWN_DELAY_MS")
                + ms("DRAIN_TIMEOUT_MS")
                + AFTER_DRAIN_MS;
            let grace = pod.spec["terminationGracePeriodSeconds"].as_u64().unwrap() * 1000;
            assert!(grace > needed, "{} {name}: {grace} ms are too few for {needed}", manifest.overlay);
        }
    }
}

#[test]
fn every_service_has_two_replicas_and_a_disruption_ends_one_at_a_time() {
    for manifest in rendered().unwrap() {
        for name in SERVICES {
            let pod = service(&manifest, name);
            let budget = manifest.find("PodDisruptionBudget", name).unwrap();
            assert_eq!(budget["spec"]["maxUnavailable"], 1, "{name}");
            assert!(pod.has_labels(&budget["spec"]["selector"]["matchLabels"]), "{name}");

            let deployment = manifest.find("Deployment", name).unwrap();
            assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0, "{name}");
            let replicas = match manifest.find("HorizontalPodAutoscaler", name) {
                Some(autoscaler) => {
                    assert_eq!(deployment["spec"]["replicas"], Value::Null, "{name}: two would decide");
                    assert_eq!(autoscaler["spec"]["scaleTargetRef"]["name"], name);
                    &autoscaler["spec"]["minReplicas"]
                }
                None => &deployment["spec"]["replicas"],
            };
            assert!(replicas.as_u64().unwrap() >= 2, "{} {name}", manifest.overlay);
            let has_autoscaler = manifest.find("HorizontalPodAutoscaler", name).is_some();
            assert_eq!(has_autoscaler, WITH_API.contains(&name), "{name}");
        }
    }
}

#[test]
fn the_pods_of_a_service_spread_over_nodes_and_zones() {
    for manifest in rendered().unwrap() {
        for name in SERVICES {
            let pod = service(&manifest, name);
            let constraints = pod.spec["topologySpreadConstraints"].as_array().unwrap();
            let keys: Vec<_> = constraints.iter().map(|it| it["topologyKey"].as_str().unwrap()).collect();
            assert_eq!(keys, ["topology.kubernetes.io/zone", "kubernetes.io/hostname"], "{name}");
            for constraint in constraints {
                assert!(pod.has_labels(&constraint["labelSelector"]["matchLabels"]), "{name}");
            }
        }
    }
}

#[test]
fn a_migration_runs_the_version_that_waits_for_it_and_gets_no_requests() {
    for manifest in rendered().unwrap() {
        let pods = manifest.pods();
        for name in SERVICES {
            let job = *pods.iter().find(|pod| pod.name == format!("{name}-migration")).unwrap();
            let pod = service(&manifest, name);
            assert_eq!(job.spec["containers"][0]["image"], pod.spec["containers"][0]["image"], "{name}");
            assert_eq!(job.spec["containers"][0]["args"], json!(["migrate"]), "{name}");
            assert_eq!(settings(&manifest, pod)["DATABASE_MIGRATIONS"], "await", "{name}");
            for service in manifest.of_kind("Service") {
                assert!(
                    !job.has_labels(&service["spec"]["selector"]),
                    "{name}: {}",
                    service["metadata"]["name"]
                );
            }
        }
    }
}

#[test]
fn every_service_selects_pods() {
    for manifest in rendered().unwrap() {
        let pods = manifest.pods();
        for service in manifest.of_kind("Service") {
            let name = service["metadata"]["name"].as_str().unwrap();
            let behind: Vec<_> =
                pods.iter().filter(|pod| pod.has_labels(&service["spec"]["selector"])).collect();
            assert_eq!(behind.len(), 1, "{} {name}: {behind:?}", manifest.overlay);
            for port in service["spec"]["ports"].as_array().unwrap() {
                let has_port = containers(behind[0].spec)
                    .filter_map(|container| container["ports"].as_array())
                    .flatten()
                    .any(|it| it["name"] == port["targetPort"]);
                assert!(
                    has_port,
                    "{} {name}: no container listens on {}",
                    manifest.overlay, port["targetPort"]
                );
            }
        }
    }
}
