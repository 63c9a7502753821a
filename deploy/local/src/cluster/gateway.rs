//! The pod through which a desk reaches every part, and the routes of its relay.

use anyhow::Context as _;
use serde_json::json;

use super::Cluster;
use crate::ports::Ports;

/// The name of the deployment, and of its network policies.
pub(super) const NAME: &str = "drill-gateway";

/// Everything that the manifest makes.
const RESOURCES: [&str; 5] = [
    "deployment/drill-gateway",
    "networkpolicy/drill-gateway",
    "networkpolicy/from-drill-gateway",
    "networkpolicy/batch",
    "networkpolicy/from-batch",
];

/// Limit for the start of the pod.
const START: &str = "--timeout=120s";

/// The port of the relay in the pod that answers `ok`.
const HEALTH: u16 = 10_000;

/// The port of the relay in the pod for the first route; the others follow.
const FIRST: u16 = 10_001;

/// The port of the desk, and the address in the cluster.
type Route = (fn(Ports) -> u16, &'static str);

const ROUTES: [Route; 10] = [
    (Ports::orders, "orders:80"),
    (Ports::url_shortener, "url-shortener:80"),
    (Ports::orders_admin, "orders-admin:9090"),
    (Ports::url_shortener_admin, "url-shortener-admin:9090"),
    (Ports::email_consumer_admin, "email-consumer-admin:9090"),
    (Ports::postgres, "postgres:5432"),
    (Ports::imap, "mailbox:3143"),
    (Ports::mailbox_api, "mailbox:8080"),
    (Ports::registry, "registry:8080"),
    (Ports::zipkin, "zipkin:9411"),
];

/// The arguments of `kubectl port-forward`: `DESK:POD` for each route.
pub(super) fn forwards(ports: Ports) -> Vec<String> {
    let routes = (FIRST..).zip(ROUTES).map(|(pod, (desk, _))| (desk(ports), pod));
    let health = (ports.gateway_health(), HEALTH);
    std::iter::once(health).chain(routes).map(|(desk, pod)| format!("{desk}:{pod}")).collect()
}

/// Deploys the gateway, and waits for it.
pub(super) async fn deploy(cluster: &Cluster) -> anyhow::Result<()> {
    let path = "jsonpath={.spec.template.spec.containers[0].image}";
    let orders = cluster.kubectl(&["get", "deployment/orders", "--output", path]).await?;
    let deployment = format!("deployment/{NAME}");
    cluster.apply(&manifest(&image(&orders)?)).await?;
    cluster
        .kubectl(&["rollout", "status", &deployment, START])
        .await
        .with_context(|| format!("the gateway does not start; `kubectl describe {deployment}` says why"))
        .map(drop)
}

/// Removes everything that [`deploy`] made.
pub(super) async fn remove(cluster: &Cluster) -> anyhow::Result<()> {
    cluster.kubectl(&[&["delete", "--ignore-not-found"], &RESOURCES[..]].concat()).await.map(drop)
}

fn manifest(image: &str) -> String {
    let routes = (FIRST..).zip(ROUTES).map(|(port, (_, to))| format!("{port}={to}"));
    let args: Vec<String> =
        ["relay".to_owned(), format!("--health={HEALTH}")].into_iter().chain(routes).collect();
    include_str!("gateway.yaml").replace("$IMAGE", image).replace("$ARGS", &json!(args).to_string())
}

/// The image of this program that was deployed with one of orders: same repository, same version.
fn image(orders: &str) -> anyhow::Result<String> {
    let (repository, version) = orders
        .rsplit_once("/orders:")
        .with_context(|| format!("image {orders} is not REPOSITORY/orders:VERSION"))?;
    Ok(format!("{repository}/muster:{version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_forward_leads_to_a_route_of_the_relay() {
        let forwards = forwards(Ports::from_base(7400).unwrap());
        assert_eq!(forwards.first().unwrap(), "7417:10000");
        assert_eq!(forwards.last().unwrap(), "7427:10010");
        let manifest = manifest("localhost/muster/muster:0.1.0");
        for forward in forwards.iter().skip(1) {
            let (_, pod) = forward.split_once(':').unwrap();
            assert!(manifest.contains(&format!("\"{pod}=")), "{forward}");
        }
    }

    #[test]
    fn the_image_has_the_version_of_the_services() {
        assert_eq!(image("localhost/muster/orders:0.1.1").unwrap(), "localhost/muster/muster:0.1.1");
        assert!(image("localhost/muster/orders@sha256:00").is_err());
    }

    #[test]
    fn everything_that_is_made_is_removed() {
        let manifest = manifest("image");
        assert_eq!(manifest.matches("\nkind: ").count(), RESOURCES.len());
        for resource in RESOURCES {
            let (_, name) = resource.split_once('/').unwrap();
            assert!(manifest.contains(&format!("metadata: {{ name: {name} }}")), "{resource}");
        }
    }
}
