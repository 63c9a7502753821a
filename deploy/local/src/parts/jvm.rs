//! How the parts that run on a Java virtual machine are kept small and quick to start.

use std::path::Path;

use crate::process::Launch;

/// Returns a `java` command with a bounded heap, to which the caller adds what is to run.
///
/// The serial collector and the quick compiler alone halve what an idle part weighs. `tmp` takes
/// the native libraries that jars unpack, which would otherwise pile up in a shared directory.
pub(crate) fn java(heap_mib: u16, tmp: &Path) -> Launch {
    Launch::new("java")
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
        .args(["-XX:+ExitOnOutOfMemoryError", "-Djava.net.preferIPv4Stack=true"])
        .arg(format!("-Xmx{heap_mib}m"))
        .arg(format!("-Djava.io.tmpdir={}", tmp.display()))
}
