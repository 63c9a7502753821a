//! The files and the command line of a Kafka node.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::{
    ports::authority,
    process::{Launch, java},
    secrets::write_private,
};

/// Further listeners of a node: one with TLS, one with TLS and SASL.
#[derive(Clone, Debug)]
pub(crate) struct TlsListeners {
    pub(crate) port: u16,
    pub(crate) login_port: u16,
    /// A file with the private key and the certificate, as PEM.
    pub(crate) keystore: PathBuf,
    /// Name and password for SCRAM-SHA-512.
    pub(crate) user: (String, String),
}

impl TlsListeners {
    fn addresses(&self) -> String {
        format!(",SSL://127.0.0.1:{},SASL_SSL://127.0.0.1:{}", self.port, self.login_port)
    }

    fn settings(&self) -> String {
        format!(
            "ssl.keystore.type=PEM\n\
             ssl.keystore.location={}\n\
             sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n",
            self.keystore.display()
        )
    }

    /// Creates the user when `kafka-storage` formats the data directory.
    fn format_arguments(&self) -> [String; 2] {
        let (name, password) = &self.user;
        ["--add-scram".to_owned(), format!("SCRAM-SHA-512=[name={name},password={password}]")]
    }
}

/// The cluster of another node, which a second node joins as a broker without controller.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    id: String,
    controller_port: u16,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) jars: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) port: u16,
    /// The port that clients are told to use: another one when a proxy is in between.
    pub(crate) advertised_port: u16,
    pub(crate) controller_port: u16,
    pub(crate) tls: Option<TlsListeners>,
    pub(crate) joins: Option<Cluster>,
}

impl Node {
    /// The only node of a cluster, without further listeners.
    pub(crate) fn new(dir: PathBuf, jars: PathBuf, port: u16, controller_port: u16) -> Self {
        Self { jars, dir, port, advertised_port: port, controller_port, tls: None, joins: None }
    }

    pub(crate) fn cluster(&self) -> anyhow::Result<Cluster> {
        let id = fs::read_to_string(self.marker()).context("the node was not formatted")?;
        Ok(Cluster { id, controller_port: self.controller_port })
    }

    /// Writes the configuration; formats the data directory once.
    pub(crate) async fn prepare(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.dir).with_context(|| format!("{}", self.dir.display()))?;
        write_private(&self.config_file(), &self.config())?;
        write_private(&self.dir.join("log4j2.properties"), LOGGING)?;
        let formatted = self.marker();
        if formatted.exists() {
            return self.require_meta_properties();
        }
        // A data directory without the marker comes from an interrupted attempt.
        if self.data_dir().exists() {
            fs::remove_dir_all(self.data_dir()).context("half a data directory is in the way")?;
        }
        let cluster_id =
            self.joins.as_ref().map_or_else(|| Uuid::new_v4().to_string(), |cluster| cluster.id.clone());
        self.java("kafka.tools.StorageTool")
            .args(["format", "--cluster-id", &cluster_id, "--config"])
            .arg(self.config_file())
            .args(self.tls.iter().flat_map(TlsListeners::format_arguments))
            .run()
            .await?;
        write_private(&formatted, &cluster_id)
    }

    /// Kafka's own error for an unformatted data directory names neither the directory nor a remedy. A second format would hide the loss of
    /// all events.
    fn require_meta_properties(&self) -> anyhow::Result<()> {
        let meta = self.data_dir().join("meta.properties");
        ensure!(
            meta.is_file(),
            "{} is missing, so Kafka refuses {}, its data directory, which was emptied or replaced. Restore the old one; or start \
             with an empty broker, without its events: rm -r '{}' && muster up",
            meta.display(),
            self.data_dir().display(),
            self.dir.display()
        );
        Ok(())
    }

    pub(crate) fn launch(&self) -> Launch {
        self.java("kafka.Kafka").arg(self.config_file())
    }

    fn java(&self, main: &str) -> Launch {
        let logging = format!("file:{}", self.dir.join("log4j2.properties").display());
        java(256, &self.dir)
            .arg(format!("-Dlog4j2.configurationFile={logging}"))
            .arg("-cp")
            .arg(self.jars.join("*"))
            .arg(main)
    }

    fn config_file(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    /// A file with the cluster id, written after the format.
    fn marker(&self) -> PathBuf {
        self.dir.join("formatted")
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn config(&self) -> String {
        let Self { port, advertised_port, controller_port, .. } = self;
        let (roles, id, controller_port, controller_listener) = if let Some(cluster) = &self.joins {
            ("broker", 2, &cluster.controller_port, String::new())
        } else {
            let listener = format!(",CONTROLLER://127.0.0.1:{controller_port}");
            ("broker,controller", 1, controller_port, listener)
        };
        let tls = self.tls.as_ref().map(|tls| (tls.addresses(), tls.settings()));
        let (tls_listeners, tls_settings) = tls.unwrap_or_default();
        format!(
            "process.roles={roles}\n\
             node.id={id}\n\
             controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
             listeners=PLAINTEXT://127.0.0.1:{port}{controller_listener}{tls_listeners}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{advertised_port}{tls_listeners}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL\n\
             log.dirs={data}\n\
             {tls_settings}\
             {SETTINGS}",
            data = self.data_dir().display(),
        )
    }
}

/// A single node has one replica of each partition. `muster` creates the topics, with their final partition counts. The cleaner's buffer is
/// 128 MiB by default, half of this node's heap. After a crash the controller refuses the broker until its old session expires.
const SETTINGS: &str = "\
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
num.network.threads=2
num.io.threads=4
";

const LOGGING: &str = "\
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
";

/// Succeeds if the broker on `port` returns metadata that contain a broker.
pub(crate) async fn answers(port: u16) -> anyhow::Result<()> {
    // Cheaper than a client, while nothing listens yet.
    drop(TcpStream::connect(authority(port)).await.context("no TCP connection")?);
    tokio::task::spawn_blocking(move || {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", authority(port))
            .create()
            .context("no Kafka client can be created")?;
        let metadata =
            client.fetch_metadata(None, Duration::from_secs(2)).context("the broker gives no metadata")?;
        ensure!(!metadata.brokers().is_empty(), "the broker does not know itself yet");
        Ok(())
    })
    .await
    .context("the Kafka client panicked")?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_error_for_a_data_directory_without_meta_properties_names_the_remedy() {
        let dir = std::env::temp_dir().join(format!("muster-node-{}", std::process::id()));
        fs::create_dir_all(dir.join("data")).unwrap();
        fs::write(dir.join("formatted"), "an id").unwrap();
        let node = Node::new(dir.clone(), dir.clone(), 1, 2);

        let error = node.prepare().await.unwrap_err().to_string();

        for expected in [dir.join("data/meta.properties"), dir.join("data")] {
            assert!(error.contains(&expected.display().to_string()), "{error}");
        }
        assert!(error.contains(&format!("rm -r '{}' && muster up", dir.display())), "{error}");
        fs::write(dir.join("data/meta.properties"), "").unwrap();
        node.prepare().await.unwrap();
        fs::remove_dir_all(dir).unwrap();
    }
}
