//! From a command to a process that answers.

use std::{
    process::{Child, Stdio},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{Builder, Running, log::Log};
use crate::client;

/// How long a start may take, on a machine that compiles something else meanwhile.
const TIMEOUT: Duration = Duration::from_secs(45);

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(20);

/// Starts the program, and waits until it listens and, unless told otherwise, is ready.
pub(super) async fn start(settings: &Builder, log: &mut Log) -> Running {
    let mut child = spawn(settings, log);
    let outcome = timeout(TIMEOUT, come_up(&mut child, settings, log)).await;
    let reason = match outcome {
        Ok(Ok((http_addr, admin_addr))) => return Running { child, http_addr, admin_addr },
        Ok(Err(reason)) => reason,
        Err(_) => format!("it was not ready within {TIMEOUT:?}"),
    };
    end(&mut child);
    panic!("{} did not start: {reason}\n{}", settings.name(), log.tail());
}

/// Starts the program, and waits until it has ended by itself with a failure.
pub(super) async fn refuse(settings: &Builder, log: &mut Log) {
    let mut child = spawn(settings, log);
    // What counts is whether the process is there afterwards.
    drop(timeout(TIMEOUT, come_up(&mut child, settings, log)).await);
    let ended = child.try_wait().expect("a child can be waited for");
    end(&mut child);
    let refused = ended.is_some_and(|status| !status.success());
    assert!(refused, "{} did not refuse to start\n{}", settings.name(), log.tail());
}

fn spawn(settings: &Builder, log: &mut Log) -> Child {
    let mut command = settings.command();
    command.stdin(Stdio::null()).stdout(log.begin_run()).stderr(log.open());
    command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Kills a child, if it still runs, and takes its exit status, so that no zombie is left.
pub(super) fn end(child: &mut Child) {
    // It fails for a child that has ended and was waited for, which is what is wanted.
    drop(child.kill());
    drop(child.wait());
}

async fn come_up(
    child: &mut Child,
    settings: &Builder,
    log: &Log,
) -> Result<(Option<String>, String), String> {
    let listening = loop {
        if let Some(line) = log.find("listening") {
            break line;
        }
        still_running(child)?;
        sleep(POLL).await;
    };
    let addr = |field: &str| listening[field].as_str().map(str::to_owned);
    let admin_addr = addr("admin_addr").ok_or("its line \"listening\" has no admin_addr")?;
    if settings.until_ready {
        let url = format!("http://{admin_addr}/ready");
        while !answers_ok(&url).await {
            still_running(child)?;
            sleep(POLL).await;
        }
    }
    Ok((addr("http_addr"), admin_addr))
}

fn still_running(child: &mut Child) -> Result<(), String> {
    match child.try_wait().expect("a child can be waited for") {
        None => Ok(()),
        Some(status) => Err(format!("it ended with {status}")),
    }
}

async fn answers_ok(url: &str) -> bool {
    client().get(url).send().await.is_ok_and(|answer| answer.status().is_success())
}
