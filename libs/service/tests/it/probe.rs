//! A running `examples/probe.rs`.

use std::{env, path::PathBuf, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A process that dies with the test.
pub(crate) struct Probe {
    child: Child,
    log: Lines<BufReader<ChildStdout>>,
    stderr: ChildStderr,
    seen: Vec<Value>,
    pub(crate) api: String,
    pub(crate) admin: String,
}

/// What a process left behind.
pub(crate) struct Remains {
    pub(crate) code: i32,
    pub(crate) log: Vec<Value>,
    pub(crate) stderr: String,
}

impl Remains {
    /// Returns the messages of the log, in order.
    pub(crate) fn messages(&self) -> Vec<&str> {
        self.log.iter().filter_map(|line| line["message"].as_str()).collect()
    }
}

impl Probe {
    /// Starts a probe that is only expected to end.
    pub(crate) fn spawn(settings: &[(&str, &str)]) -> Self {
        Self::spawn_as(Command::new(executable()), settings)
    }

    /// The same below limits of open files, as `ulimit` takes them.
    pub(crate) fn spawn_below(ulimits: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{ulimits} && exec \"$0\"")]).arg(executable());
        Self::spawn_as(command, settings)
    }

    fn spawn_as(mut command: Command, settings: &[(&str, &str)]) -> Self {
        command.env_clear();
        for (name, value) in [
            ("ENVIRONMENT", "local"),
            ("HTTP_ADDR", "127.0.0.1:0"),
            ("ADMIN_ADDR", "127.0.0.1:0"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ]
        .iter()
        .chain(settings)
        {
            if value.is_empty() {
                command.env_remove(name)
            } else {
                command.env(name, value)
            };
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let log = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = child.stderr.take().unwrap();
        Self { child, log, stderr, seen: Vec::new(), api: String::new(), admin: String::new() }
    }

    /// Starts a probe and waits until it listens.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::spawn(settings).listening().await
    }

    /// Waits until it listens.
    pub(crate) async fn listening(mut self) -> Self {
        let line = self.wait_for("listening").await;
        let url = |field: &str| format!("http://{}", line[field].as_str().unwrap());
        (self.api, self.admin) = (url("http_addr"), url("admin_addr"));
        self
    }

    /// Reads the log until this message.
    pub(crate) async fn wait_for(&mut self, message: &str) -> Value {
        loop {
            let line = timeout(TIMEOUT, self.log.next_line()).await.expect(message).unwrap().expect(message);
            let line: Value = serde_json::from_str(&line).unwrap();
            self.seen.push(line.clone());
            if line["message"] == message {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) async fn end(mut self) -> Remains {
        timeout(TIMEOUT, async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                self.seen.push(serde_json::from_str(&line).unwrap());
            }
            let mut stderr = String::new();
            self.stderr.read_to_string(&mut stderr).await.unwrap();
            let code = self.child.wait().await.unwrap().code().unwrap();
            Remains { code, log: self.seen, stderr }
        })
        .await
        .expect("the process ends")
    }
}

/// Cargo builds examples before it runs tests, beside the directory of the tests.
fn executable() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples/probe")
}

pub(crate) async fn get(url: String) -> reqwest::Result<(u16, String)> {
    let client = client();
    let response = client.get(url).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

pub(crate) fn client() -> reqwest::Client {
    tls::Trust::none().http().timeout(TIMEOUT).build().unwrap()
}
