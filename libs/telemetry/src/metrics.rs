//! Metrics that every process has, and the buckets that every latency histogram shares.

use prometheus::{Opts, register_int_gauge_vec};

use crate::ServiceInfo;

/// The upper bounds, in seconds, of every latency histogram. The objectives (50 ms, 250 ms) are bounds, so that the
/// share of requests within them is exact and not interpolated.
pub const LATENCY_BUCKETS: &[f64] = &[0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Registers what does not depend on what the process does. The registry itself adds CPU, memory and descriptors.
pub(crate) fn register(info: ServiceInfo) -> prometheus::Result<()> {
    let opts = Opts::new("build_info", "Always 1; the labels say what is running.");
    register_int_gauge_vec!(opts, &["service", "version"])?
        .with_label_values(&[info.name, info.version])
        .set(1);
    Ok(())
}
