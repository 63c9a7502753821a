//! Which pods Prometheus scrapes: a file for its `file_sd_configs`, because Debian's Prometheus has no discovery of Kubernetes.

use serde_json::{Value, json};

use super::NAMESPACE;

/// The pods of the services; those of their migrations have another component.
const SELECTOR: &str = "app.kubernetes.io/component=server";

/// The port of metrics of a service.
const METRICS_PORT: u16 = 9090;

/// The paths that `kubectl proxy` serves: the list of pods, and their metrics.
pub(super) fn accepted_paths() -> String {
    let pods = format!("^/api/v1/namespaces/{NAMESPACE}/pods");
    format!("{pods}$,{pods}/[^/:]+:{METRICS_PORT}/proxy/metrics$")
}

/// The path and query that list the pods.
pub(super) fn list_path() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={SELECTOR}")
}

/// One target per pod, at the proxy: the job is the service, as in the rules, the instance is the pod.
pub(super) fn targets(pods: &Value, proxy: &str) -> Value {
    pods["items"].as_array().into_iter().flatten().filter_map(|pod| target(pod, proxy)).collect()
}

/// A pod that starts or ends is no target: it would count as down.
fn target(pod: &Value, proxy: &str) -> Option<Value> {
    let metadata = &pod["metadata"];
    let (name, service) =
        (metadata["name"].as_str()?, metadata["labels"]["app.kubernetes.io/name"].as_str()?);
    let has_started = pod["status"]["containerStatuses"][0]["started"] == true;
    let is_ending = !metadata["deletionTimestamp"].is_null();
    (has_started && !is_ending).then(|| {
        json!({
            "targets": [proxy],
            "labels": {
                "__metrics_path__": format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}:{METRICS_PORT}/proxy/metrics"),
                "job": service,
                "instance": name,
            },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> Value {
        json!({
            "metadata": { "name": name, "labels": { "app.kubernetes.io/name": "orders" } },
            "status": { "containerStatuses": [{ "started": true }] },
        })
    }

    #[test]
    fn each_started_pod_is_a_target_of_its_service() {
        let mut ending = pod("orders-b");
        ending["metadata"]["deletionTimestamp"] = "2026-11-29T22:00:00Z".into();
        let mut starting = pod("orders-c");
        starting["status"]["containerStatuses"][0]["started"] = false.into();

        let found = targets(&json!({ "items": [pod("orders-a"), ending, starting] }), "127.0.0.1:7418");

        let path = "/api/v1/namespaces/muster/pods/orders-a:9090/proxy/metrics";
        let labels = json!({ "__metrics_path__": path, "job": "orders", "instance": "orders-a" });
        assert_eq!(found, json!([{ "targets": ["127.0.0.1:7418"], "labels": labels }]));
    }

    #[test]
    fn no_pod_is_an_empty_list() {
        assert_eq!(targets(&json!({ "items": [] }), "127.0.0.1:7418"), json!([]));
    }
}
