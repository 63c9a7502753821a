//! How much memory a process holds, in MiB, as the kernel counts it.

use std::fs;

/// The resident set of one process.
pub(crate) fn resident_mib(pid: u32) -> Option<u64> {
    kib_field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:").map(to_mib)
}

/// The proportional set of a process and its children: memory that they share counts once, while a
/// sum of resident sets would count the buffers of `PostgreSQL` once for each connection.
pub(crate) fn proportional_mib(pid: u32) -> Option<u64> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    Some(to_mib(std::iter::once(pid).chain(children).filter_map(proportional_kib).sum()))
}

fn proportional_kib(pid: u32) -> Option<u64> {
    kib_field(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?, "Pss:")
}

fn kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn to_mib(kib: u64) -> u64 {
    kib.div_ceil(1024)
}
