//! Finds out through `/proc` which process listens on a port.

use std::fs;
use std::path::Path;

/// The state column of `/proc/net/tcp` for a listening socket.
const LISTEN: &str = "0A";

/// Returns the name and pid of the process that listens on `port`, as far as `/proc` tells.
pub(super) fn of(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| table.lines().find_map(|line| listening_inode(line, port)))?;
    match owner(&inode) {
        Some((pid, name)) => Some(format!("{name} (pid {pid})")),
        None => Some("a process of another user".to_owned()),
    }
}

/// Returns the socket's inode when the line describes a listener on `port`.
fn listening_inode(line: &str, port: u16) -> Option<String> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = columns.get(1)?.rsplit_once(':')?;
    let is_listener = *columns.get(3)? == LISTEN;
    (is_listener && u16::from_str_radix(local_port, 16) == Ok(port))
        .then(|| columns.get(9).map(|inode| (*inode).to_owned()))?
}

fn owner(inode: &str) -> Option<(String, String)> {
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.filter_map(Result::ok).find_map(|entry| {
        let pid = entry.file_name().into_string().ok()?;
        pid.parse::<u32>().ok()?;
        holds(&entry.path(), &socket).then(|| {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            (pid, name.trim().to_owned())
        })
    })
}

fn holds(process: &Path, socket: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors
        .filter_map(Result::ok)
        .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == Path::new(socket)))
}
