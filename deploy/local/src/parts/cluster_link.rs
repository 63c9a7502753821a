//! The process that connects an on-call desk with its cluster.

use anyhow::ensure;

use super::{Part, Probe};
use crate::{
    cluster::{
        Cluster,
        link::{gateway_answers, targets_file},
    },
    config::StackConfig,
    ports::{Ports, url},
    process::Launch,
};

/// The part of a desk.
pub(super) const LINK: Part = Part {
    ports: &[
        ("orders", Ports::orders),
        ("url-shortener", Ports::url_shortener),
        ("health and metrics of orders", Ports::orders_admin),
        ("health and metrics of url-shortener", Ports::url_shortener_admin),
        ("health and metrics of email-consumer", Ports::email_consumer_admin),
        ("PostgreSQL", Ports::postgres),
        ("IMAP", Ports::imap),
        ("the mailbox", Ports::mailbox_api),
        ("the schema registry", Ports::registry),
        ("Zipkin", Ports::zipkin),
        ("the gateway's health", Ports::gateway_health),
        ("the API server", Ports::kube_api),
    ],
    address: |ports| format!("{}  API server {}", url(ports.orders()), url(ports.kube_api())),
    ..Part::new("cluster-link", link, Probe::Action(|config| Box::pin(probe(config))))
};

fn link(config: &StackConfig) -> anyhow::Result<Launch> {
    Ok(Launch::this_program("cluster-link")?
        .args(["--port-base", &config.ports.base().to_string()])
        .arg("--targets")
        .arg(targets_file(config))
        .env("KUBECONFIG", Cluster::of(config).kubeconfig()))
}

/// Ready when the gateway answers and Prometheus knows what to scrape.
async fn probe(config: &StackConfig) -> anyhow::Result<()> {
    gateway_answers(config.ports).await?;
    let file = targets_file(config);
    ensure!(file.is_file(), "{} is missing: the API server lists no pods", file.display());
    Ok(())
}
