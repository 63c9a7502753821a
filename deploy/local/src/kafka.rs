//! A single Kafka node: broker and controller (`KRaft`) in one process.
//!
//! The stack uses it, and tests that stop their own broker: see [`start_private`].

mod node;

use std::{path::Path, time::Duration};

use anyhow::Context;
pub(crate) use node::{Node, TlsListeners, answers};
use tokio::process::Child;

use crate::{
    ports::{any_free, authority},
    readiness::until_ok,
    secrets::write_private,
};

/// Limit for the start of a broker, on a machine that is busy with other tests.
const DEADLINE: Duration = Duration::from_mins(1);

/// A broker of one test. It ends when this value is dropped.
#[derive(Debug)]
pub struct PrivateBroker {
    node: Node,
    child: Option<Child>,
}

/// Starts a broker that keeps its data in `dir` and listens on a free port of the loopback interface.
///
/// `jars` is the directory with Kafka's jars, [`crate::Endpoints::kafka_jars`]. Returns when the broker answers. Needs a tokio runtime.
pub async fn start_private(dir: &Path, jars: &Path) -> anyhow::Result<PrivateBroker> {
    start(node(dir, jars)?).await
}

/// Like [`start_private`], for clients that connect through a proxy on this port.
pub async fn start_private_behind(
    dir: &Path,
    jars: &Path,
    advertised_port: u16,
) -> anyhow::Result<PrivateBroker> {
    start(Node { advertised_port, ..node(dir, jars)? }).await
}

/// Like [`start_private`], with two more listeners: TLS, and TLS with SASL. `keystore` has the private key and the certificate, as PEM;
/// `user` is the name and the password for SASL.
pub async fn start_private_with_tls(
    dir: &Path,
    jars: &Path,
    keystore: &str,
    user: (&str, &str),
) -> anyhow::Result<PrivateBroker> {
    std::fs::create_dir_all(dir).with_context(|| format!("{}", dir.display()))?;
    let file = dir.join("keystore.pem");
    write_private(&file, keystore)?;
    let user = (user.0.to_owned(), user.1.to_owned());
    let tls = TlsListeners { port: any_free()?, login_port: any_free()?, keystore: file, user };
    start(Node { tls: Some(tls), ..node(dir, jars)? }).await
}

fn node(dir: &Path, jars: &Path) -> anyhow::Result<Node> {
    Ok(Node::new(dir.to_owned(), jars.to_owned(), any_free()?, any_free()?))
}

async fn start(node: Node) -> anyhow::Result<PrivateBroker> {
    node.prepare().await?;
    let mut broker = PrivateBroker { node, child: None };
    broker.start().await?;
    Ok(broker)
}

impl PrivateBroker {
    /// Starts broker 2 of the same cluster, with its data in `dir`. Broker 1 has the controller, so it has to run at that time.
    pub async fn start_second(&self, dir: &Path) -> anyhow::Result<Self> {
        start(Node { joins: Some(self.node.cluster()?), ..node(dir, &self.node.jars)? }).await
    }

    /// The value of `bootstrap.servers` for clients.
    pub fn bootstrap_servers(&self) -> String {
        authority(self.node.port)
    }

    /// `bootstrap.servers` of the TLS listener.
    pub fn tls_bootstrap_servers(&self) -> Option<String> {
        self.node.tls.as_ref().map(|tls| authority(tls.port))
    }

    /// `bootstrap.servers` of the listener with TLS and SASL.
    pub fn login_bootstrap_servers(&self) -> Option<String> {
        self.node.tls.as_ref().map(|tls| authority(tls.login_port))
    }

    /// Kills the broker as `kill -9` does; its data stays.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill().await.context("the broker cannot be killed"),
            None => Ok(()),
        }
    }

    /// Starts a stopped broker on the same data and the same port. Returns when it answers.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        if self.child.is_none() {
            self.child = Some(self.node.launch().start_child(&self.node.dir.join("kafka.log"))?);
        }
        until_ok(DEADLINE, || answers(self.node.port)).await
    }
}
