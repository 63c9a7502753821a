//! Runs the scripts of a drill.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

use super::{
    definition,
    journal::{Course, Journal},
};
use crate::{config::StackConfig, endpoints::shell_variables};

/// Limit of one script.
const TIMEOUT: Duration = Duration::from_mins(10);

/// The end of a script's output in an error.
const TAIL: usize = 15;

/// Runs a script with the variables of `muster env`, those that the seed selected, `WORK` (its scratch directory), `MUSTER`, and
/// `ANSWERED_RATE` and `ANSWERED_CHOICE` of the last answer (empty unless given).
///
/// The text goes to standard input, so that neither its name nor its contents are in the list of processes; its output goes to a file
/// of the journal. It ends with this program, which may be killed; what it starts in the background stays.
pub(crate) async fn run(
    path: &Path,
    draws: &BTreeMap<String, String>,
    config: &StackConfig,
    journal: &Journal,
) -> anyhow::Result<()> {
    let prelude = definition::prelude(&config.checkout);
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("{}", path.display()));
    // bash parses the whole group before it runs the first command, so that no command reads the rest of the script.
    let text = format!("{{\nexec </dev/null\n{}\n{}\nexit 0\n}}\n", read(&prelude)?, read(path)?);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let log = journal.dir().join(format!("{name}.log"));
    let output = File::create(&log).with_context(|| format!("{}", log.display()))?;
    let (rate, choice) = Course::read(journal)?
        .answer()
        .map(|answer| (answer.rate, answer.choice.clone()))
        .unwrap_or_default();
    let program = std::env::current_exe().context("the path of this program cannot be read")?;
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "bash"])
        .current_dir(config.checkout.root())
        .envs(shell_variables(config)?)
        .envs(draws)
        .env("WORK", journal.work_dir())
        .env("MUSTER", program)
        .env("ANSWERED_RATE", rate.map_or_else(String::new, |rate| rate.to_string()))
        .env("ANSWERED_CHOICE", choice.unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(output.try_clone().context("the log cannot be shared")?)
        .stderr(output)
        .kill_on_drop(true)
        .spawn()
        .context("setpriv(1) cannot be run")?;
    let mut stdin = child.stdin.take().context("a script has a standard input")?;
    stdin.write_all(text.as_bytes()).await.context("the script cannot be sent")?;
    drop(stdin);
    let status = timeout(TIMEOUT, child.wait())
        .await
        .with_context(|| format!("{name} did not end within {} s", TIMEOUT.as_secs()))?
        .context("the script cannot be watched")?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    bail!("{}", lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n"))
}
