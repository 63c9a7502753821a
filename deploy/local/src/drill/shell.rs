//! `muster drill shell`: a shell whose commands become part of the write-up. Nothing is recorded outside it.

use std::{fs, io::ErrorKind, os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use super::journal::Journal;
use crate::{config::StackConfig, endpoints::shell_variables};

/// Becomes bash, with the variables of `muster env` and its history in the directory of the drill.
pub(super) fn run(config: &StackConfig, journal: &Journal) -> anyhow::Result<()> {
    let rc = journal.dir().join("shellrc");
    let text = "[ -f ~/.bashrc ] && . ~/.bashrc\nshopt -s histappend\nPROMPT_COMMAND='history -a'\nPS1='on call \\w\\$ '\n";
    fs::write(&rc, text).with_context(|| format!("{}", rc.display()))?;
    let mut shell = Command::new("bash");
    shell
        .arg("--rcfile")
        .arg(&rc)
        .arg("-i")
        .current_dir(config.checkout.root())
        .envs(shell_variables(config)?);
    // With a time format set, bash writes the time before each command.
    shell.env("HISTFILE", history(journal)).env("HISTTIMEFORMAT", "%T ").env("HISTCONTROL", "");
    Err(shell.exec()).context("bash cannot be run")
}

/// The recorded commands with their times, without the end of the shell.
pub(super) fn commands(journal: &Journal) -> anyhow::Result<Vec<(DateTime<Utc>, String)>> {
    let text = match fs::read_to_string(history(journal)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("the recorded commands"),
    };
    let mut commands = Vec::new();
    let mut at = None;
    for line in text.lines() {
        let time =
            line.strip_prefix('#').and_then(|seconds| DateTime::from_timestamp(seconds.parse().ok()?, 0));
        match (time, at) {
            (Some(time), _) => at = Some(time),
            (None, Some(_)) if line == "exit" => {}
            (None, Some(at)) => commands.push((at, format!("`{line}`"))),
            (None, None) => {}
        }
    }
    Ok(commands)
}

fn history(journal: &Journal) -> PathBuf {
    journal.dir().join("commands")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_time_that_bash_wrote_before_them() {
        let dir = std::env::temp_dir().join(format!("muster-shell-{}", std::process::id()));
        let journal = Journal::of(&dir);
        fs::create_dir_all(journal.dir()).unwrap();
        assert!(commands(&journal).unwrap().is_empty());
        fs::write(
            history(&journal),
            "#1700000000\nmuster pager\n#1700000009\npsql orders -c 'SELECT 1'\n#1700000009\nexit\n",
        )
        .unwrap();
        let found = commands(&journal).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].0.timestamp(), 1_700_000_009);
        assert_eq!(found[0].1, "`muster pager`");
        fs::remove_dir_all(dir).unwrap();
    }
}
