//! The data directory of `PostgreSQL`: location, owner, initdb.
//!
//! `PostgreSQL` refuses to run as root. If `muster` runs as root, the files belong to the user `postgres`. If that user cannot reach the
//! checkout (below a home directory of mode 0700), they are in `/var/tmp`, and `.muster/postgres` is a symbolic link.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use sha2::{Digest as _, Sha256};

use super::PROGRAMS;
use crate::{console::print, endpoints::SUPERUSER, process::Launch, secrets::write_private};

/// The user of the `PostgreSQL` processes, if `muster` runs as root.
pub(super) fn owner() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("postgres")
}

/// The data directory, without the symbolic link, which the server's user may be unable to follow.
pub(super) fn data_dir(dir: &Path) -> PathBuf {
    without_link(dir).join("data")
}

fn without_link(dir: &Path) -> PathBuf {
    fs::read_link(dir).unwrap_or_else(|_| dir.to_owned())
}

/// Creates the cluster below `dir` unless it exists; removes a stale pid file.
pub(super) async fn prepare(dir: &Path, password: &str) -> anyhow::Result<()> {
    place(dir).await?;
    let data = data_dir(dir);
    if data.exists() {
        remove_stale_pid_file(&data)
    } else {
        init_cluster(&without_link(dir), &data, password).await
    }
}

/// Creates the directory `dir`, which only the server's user can enter.
async fn place(dir: &Path) -> anyhow::Result<()> {
    let Some(user) = owner() else {
        return fs::create_dir_all(dir).with_context(|| format!("{}", dir.display()));
    };
    if dir.symlink_metadata().is_err() && !is_reachable(dir, user).await {
        let elsewhere = prepare_elsewhere(dir)?;
        print(format_args!(
            "postgres: the user {user} cannot reach this checkout, so the data is in {}",
            elsewhere.display()
        ));
        symlink(&elsewhere, dir).with_context(|| format!("{}", dir.display()))?;
    }
    Launch::new("install")
        .args(["-d", "-m", "0700", "-o", user, "-g", user])
        .arg(without_link(dir))
        .run()
        .await
}

async fn is_reachable(dir: &Path, user: &'static str) -> bool {
    let Some(parent) = dir.parent() else { return false };
    Launch::new("test").user(Some(user)).arg("-x").arg(parent).run().await.is_ok()
}

/// Returns the directory outside the checkout. Removes the data of a deleted `.muster`, whose passwords are lost.
fn prepare_elsewhere(dir: &Path) -> anyhow::Result<PathBuf> {
    let hash = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    let outside = PathBuf::from(format!("/var/tmp/muster-{}", hex::encode(&hash[..8])));
    fs::create_dir_all(&outside).with_context(|| format!("{}", outside.display()))?;
    // Every user can create directories in /var/tmp: trust only one that belongs to root.
    let metadata = outside.symlink_metadata().context("the directory is gone")?;
    if !metadata.is_dir() || metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        bail!("{} belongs to another user: remove it", outside.display());
    }
    let permissions = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&outside, permissions).context("permissions of the directory in /var/tmp")?;
    let target = outside.join("postgres");
    if target.exists() {
        if postmaster_of(&data_dir(&target)).is_some() {
            bail!("a server of a deleted .muster still runs in {}: stop it", target.display());
        }
        fs::remove_dir_all(&target).with_context(|| format!("{}", target.display()))?;
    }
    Ok(target)
}

/// Runs initdb under a temporary name and renames the result, so that an incomplete cluster is never used.
async fn init_cluster(dir: &Path, data: &Path, password: &str) -> anyhow::Result<()> {
    let unfinished = dir.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("{}", unfinished.display()))?;
    }
    let password_file = dir.join("password");
    write_private(&password_file, password)?;
    let home_owner = dir.metadata().with_context(|| format!("{}", dir.display()))?;
    chown(&password_file, Some(home_owner.uid()), Some(home_owner.gid()))
        .context("the password file cannot change its owner")?;
    let made = Launch::new(Path::new(PROGRAMS).join("initdb"))
        .user(owner())
        .args(["--username", SUPERUSER, "--auth", "scram-sha-256"])
        .args(["--encoding", "UTF8", "--locale", "C.UTF-8", "--no-instructions"])
        .args(["--pwfile".as_ref(), password_file.as_os_str()])
        .args(["--pgdata".as_ref(), unfinished.as_os_str()])
        .run()
        .await;
    fs::remove_file(&password_file).context("the password file cannot be removed")?;
    made?;
    fs::rename(&unfinished, data).context("the cluster cannot be renamed")
}

/// After a crash or a reboot the pid in `postmaster.pid` may belong to another process. If that process has the same user, `PostgreSQL`
/// refuses to start.
fn remove_stale_pid_file(data: &Path) -> anyhow::Result<()> {
    let file = data.join("postmaster.pid");
    if file.exists() && postmaster_of(data).is_none() {
        fs::remove_file(&file).with_context(|| format!("{}", file.display()))?;
    }
    Ok(())
}

/// The pid of the server that runs in `data`: a server's working directory is its data directory.
fn postmaster_of(data: &Path) -> Option<u32> {
    let pid = fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.parse().ok()?;
    let working_dir = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    (working_dir == fs::canonicalize(data).ok()?).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_stale_when_its_pid_belongs_to_another_program() {
        let data = std::env::temp_dir().join(format!("muster-data-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        let pid_file = data.join("postmaster.pid");
        fs::write(&pid_file, format!("{}\nrest\n", std::process::id())).unwrap();

        remove_stale_pid_file(&data).unwrap();

        assert!(!pid_file.exists());
        fs::remove_dir_all(data).unwrap();
    }
}
