//! Where the broker is. Producers and consumers share the setting, so it stands beside what they exchange.

use clap::Args;

/// How to reach the Kafka cluster.
#[derive(Args, Clone, Debug)]
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct KafkaConfig {
    /// Brokers to start from, `host:port` separated by commas.
    #[arg(long, env)]
    pub kafka_bootstrap_servers: String,
}
