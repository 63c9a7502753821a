//! Starts processes: parts in a session of their own, which outlive this program, and short-lived children.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::{Context, ensure};
use tokio::process::{Child, Command};

use super::Identity;
use crate::checkout::STACK_VARIABLE;

/// Variables that a part inherits from the environment of this program: search paths and log level. Others could change its behaviour.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "RUST_LOG", "RUST_BACKTRACE"];

/// The extension of the log of the process before.
pub(crate) const PREVIOUS: &str = "previous.log";

#[derive(Debug)]
pub(crate) struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    user: Option<&'static str>,
    directory: PathBuf,
}

impl Launch {
    pub(crate) fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new(), user: None, directory: "/".into() }
    }

    /// A program of this workspace, built beside this one.
    pub(crate) fn sibling(name: &str) -> anyhow::Result<Self> {
        let path = this_program()?.with_file_name(name);
        ensure!(path.is_file(), "{} is missing: build the workspace first (`cargo build`)", path.display());
        Ok(Self::new(path))
    }

    /// This program with a command, for the same stack.
    pub(crate) fn this_program(command: &str) -> anyhow::Result<Self> {
        let launch = Self::new(this_program()?).arg(command);
        Ok(launch.envs(env::var_os(STACK_VARIABLE).map(|stack| (STACK_VARIABLE, stack))))
    }

    /// Another program with the same arguments and environment.
    pub(crate) fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable; replaces an earlier value.
    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub(crate) fn envs(mut self, env: impl IntoIterator<Item = (&'static str, impl Into<OsString>)>) -> Self {
        self.env.extend(env.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Runs the process in this directory. The default, the root, is one that every user can enter and that blocks no unmount.
    pub(crate) fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Runs the process as another user; needs root.
    pub(crate) fn user(mut self, user: Option<&'static str>) -> Self {
        self.user = user;
        self
    }

    /// Starts the process in a new session, so that it outlives this program, with its output in `log`.
    pub(crate) fn start(&self, log: &Path) -> anyhow::Result<(Child, Identity)> {
        // setsid(1) and setpriv(1) exec the program: the pid stays the same.
        let words = std::iter::once("setsid".into()).chain(self.words());
        let child = self.spawn(self.command(words), log)?;
        let pid = child.id().context("it ended at once")?;
        let identity = Identity::of(pid).context("its identity cannot be read")?;
        Ok((child, identity))
    }

    /// Starts the process as a child that is killed when its handle is dropped.
    pub(crate) fn start_child(&self, log: &Path) -> anyhow::Result<Child> {
        let mut command = self.command(self.words());
        command.kill_on_drop(true);
        self.spawn(command, log)
    }

    /// Runs the command to its end. On failure, the error contains its output.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let program = self.program.display();
        let output = self.command(self.words()).kill_on_drop(true).output().await;
        let Output { status, stdout, stderr } =
            output.with_context(|| format!("{program} cannot be started"))?;
        let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        ensure!(status.success(), "{program} failed ({status}):\n{text}");
        Ok(())
    }

    /// Runs the command to its end, with the standard output and standard error of this program. Returns whether it succeeded.
    pub(crate) async fn run_with_output(&self) -> anyhow::Result<bool> {
        let status = self.command(self.words()).kill_on_drop(true).status().await;
        Ok(status.with_context(|| format!("{} cannot be started", self.program.display()))?.success())
    }

    fn spawn(&self, mut command: Command, log: &Path) -> anyhow::Result<Child> {
        if log.exists() {
            // The previous log may explain a restart.
            fs::rename(log, log.with_extension(PREVIOUS))
                .with_context(|| format!("{} cannot be renamed", log.display()))?;
        }
        let output = File::create(log).with_context(|| format!("{}", log.display()))?;
        command
            .stdout(output.try_clone().context("the log cannot be shared")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.program.display()))
    }

    /// The command line, after the change of user.
    fn words(&self) -> impl Iterator<Item = OsString> {
        let change_of_user = self.user.into_iter().flat_map(|user| {
            let (uid, gid) = (format!("--reuid={user}"), format!("--regid={user}"));
            ["setpriv".into(), "--init-groups".into(), uid.into(), gid.into()]
        });
        change_of_user.chain([self.program.clone().into()]).chain(self.args.clone())
    }

    fn command(&self, mut words: impl Iterator<Item = OsString>) -> Command {
        let mut command = Command::new(words.next().expect("a launch has a program"));
        let inherited = INHERITED.iter().filter_map(|name| Some((*name, env::var_os(name)?)));
        command.args(words).env_clear().envs(inherited).envs(self.env.iter().cloned());
        command.current_dir(&self.directory).stdin(Stdio::null());
        command
    }
}

fn this_program() -> anyhow::Result<PathBuf> {
    env::current_exe().context("the path of this program cannot be read")
}

/// Returns a `java` command with a bounded heap.
///
/// The serial collector and the C1 compiler alone halve the memory of an idle part. `tmp` receives the native libraries that jars unpack,
/// which would otherwise accumulate in a shared directory.
pub(crate) fn java(heap_mib: u16, tmp: &Path) -> Launch {
    Launch::new("java")
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
        .args(["-XX:+ExitOnOutOfMemoryError", "-Djava.net.preferIPv4Stack=true"])
        .arg(format!("-Xmx{heap_mib}m"))
        .arg(format!("-Djava.io.tmpdir={}", tmp.display()))
}
