//! A separate stack of `muster up`: a checkout of links into the real one, with its own state and ports.

use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// Ports between those of test runs and those that the kernel hands out.
const BASES: std::ops::Range<u16> = 1000..1023;
const SPAN: u16 = 32;

/// A file that every checkout has.
const MARKER: &str = "deploy/local/pom.xml";

/// Stopped and removed when this value is dropped.
pub(crate) struct Stack {
    checkout: PathBuf,
    base: u16,
}

/// The real checkout.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

impl Stack {
    /// Starts the drill profile.
    pub(crate) fn up() -> Self {
        // Always the same directory, so that this run stops the stack of a killed one.
        let checkout = Path::new(env!("CARGO_TARGET_TMPDIR")).join("drill");
        drop(Self { checkout: checkout.clone(), base: free_base() });
        for dir in ["deploy/local", "target/debug", ".muster", "loadtest"] {
            fs::create_dir_all(checkout.join(dir)).unwrap();
        }
        let links =
            ["services", "libs", "docs", "deploy/monitoring", MARKER, ".muster/parts", "loadtest/drills"];
        for path in links {
            symlink(repository().join(path), checkout.join(path)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_muster"), checkout.join("target/debug/muster")).unwrap();
        let stack = Self { checkout, base: free_base() };
        stack.muster(&["up", "--profile", "drill"]);
        stack
    }

    /// Runs a command of `muster`, which must succeed, and returns its output.
    pub(crate) fn muster(&self, args: &[&str]) -> String {
        let output = self.command(env!("CARGO_BIN_EXE_muster")).args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "muster {args:?}:\n{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// Runs a command of `muster` with a variable; returns whether it succeeded, with its whole output.
    pub(crate) fn muster_with(&self, variable: (&str, &str), args: &[&str]) -> (bool, String) {
        let (name, value) = variable;
        let output = self.command(env!("CARGO_BIN_EXE_muster")).args(args).env(name, value).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// The rows of a statement in a database, as text.
    pub(crate) fn sql(&self, database: &str, statement: &str) -> String {
        let output = self.shell(&format!("psql {database} -Atc \"{statement}\""));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs commands of a runbook in a shell, after the first ones of docs/runbooks/README.md.
    pub(crate) fn shell(&self, commands: &str) -> Output {
        let script = format!("set -euo pipefail\neval \"$(target/debug/muster env)\"\n{commands}");
        // One that hangs is a failure like any other.
        self.command("timeout").args(["60", "bash", "-c", &script]).output().unwrap()
    }

    /// The value of a variable that `muster env` sets.
    pub(crate) fn variable(&self, name: &str) -> String {
        let prefix = format!("export {name}=");
        let text = self.muster(&["env"]);
        text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().to_owned()
    }

    /// The metrics of a service.
    pub(crate) async fn metrics(&self, job: &str) -> String {
        let name = format!("{}_ADMIN_URL", job.to_uppercase().replace('-', "_"));
        let url = format!("{}/metrics", self.variable(&name));
        testkit::client().get(url).send().await.unwrap().text().await.unwrap()
    }

    /// The events of the pager so far.
    pub(crate) fn pages(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.checkout.join(".muster/pages.jsonl")).unwrap_or_default();
        text.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.checkout).env("MUSTER_PORT_BASE", self.base.to_string());
        command.env_remove("MUSTER_PROFILE");
        command
    }
}

impl Drop for Stack {
    #[expect(clippy::print_stderr, reason = "the test harness shows it")]
    fn drop(&mut self) {
        // Without this file it is no checkout, and muster would find the one around it.
        if !self.checkout.join(MARKER).exists() {
            return fs::remove_dir_all(&self.checkout).unwrap_or_default();
        }
        let down = self.command(env!("CARGO_BIN_EXE_muster")).arg("down").output();
        if !down.is_ok_and(|output| output.status.success()) {
            eprintln!("the stack in {} may still run", self.checkout.display());
        } else if !std::thread::panicking() {
            // After a failure the logs stay.
            fs::remove_dir_all(&self.checkout).unwrap_or_default();
        }
    }
}

fn free_base() -> u16 {
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    BASES
        .map(|slot| slot * SPAN)
        .find(|base| (*base..base + SPAN).all(is_free))
        .expect("32 free ports in a row")
}
