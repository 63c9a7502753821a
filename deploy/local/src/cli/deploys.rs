//! `muster deploy`, `rollback` and `deploys`: releases of one service.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, bail, ensure};
use chrono::Utc;

use super::{NO_STACK, open_local, read_local};
use crate::{
    console::print,
    releases::{Release, SERVICES},
    stack,
};

/// Arguments of `muster deploy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service.
    #[arg(value_parser = SERVICES)]
    part: String,
    /// The program; default: the one that is built beside this program.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// A setting of the service, which replaces its value in the local stack.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,
    /// The name in `muster deploys` and `build_info`; default: the time.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    release: Option<String>,
}

/// Records a release and restarts the service with it.
pub(super) async fn deploy(args: Args) -> anyhow::Result<()> {
    let Args { part, program, settings, release } = args;
    let (stack, state) = open_local()?.context(NO_STACK)?;
    stack::require_needs(&stack, &part, &state)?;
    let deployed_at = Utc::now();
    let name = release.unwrap_or_else(|| deployed_at.format("%Y%m%d-%H%M%S").to_string());
    let program = program.map(executable).transpose()?;
    let settings = BTreeMap::from_iter(settings);
    let release = Release { name: name.clone(), deployed_at, rolled_back_at: None, program, settings };
    state.update(|record| record.releases.entry(part.clone()).or_default().deploy(release))?;
    stack::restart(&stack, &part, &state).await.with_context(|| {
        format!("release {name} of {part} is recorded and not ready; `muster rollback {part}` goes back")
    })?;
    print(format_args!("{part} runs release {name}"));
    Ok(())
}

/// Goes back to the previous release and restarts the service.
pub(super) async fn rollback(part: &str) -> anyhow::Result<()> {
    let (stack, state) = open_local()?.context(NO_STACK)?;
    stack::require_needs(&stack, part, &state)?;
    if state.record().release(part).is_none() {
        bail!("{part} runs the build of this checkout: there is no release before it");
    }
    state.update(|record| record.releases.entry(part.to_owned()).or_default().roll_back(Utc::now()))?;
    stack::restart(&stack, part, &state).await?;
    match state.record().release(part) {
        Some(release) => print(format_args!("{part} runs release {}", release.name)),
        None => print(format_args!("{part} runs the build of this checkout")),
    }
    Ok(())
}

/// Lists the releases of each service, the newest last.
pub(super) fn list() -> anyhow::Result<()> {
    let (_, record) = read_local()?.context(NO_STACK)?;
    print(format_args!(
        "{:<15}  {:<20}  {:<20}  {:<32}  PROGRAM, SETTINGS",
        "PART", "DEPLOYED", "RELEASE", "STATE"
    ));
    for part in SERVICES {
        for line in record.releases.get(part).cloned().unwrap_or_default().lines(part) {
            print(line);
        }
    }
    Ok(())
}

/// The absolute path of a program.
fn executable(path: PathBuf) -> anyhow::Result<PathBuf> {
    let found = path.canonicalize().with_context(|| format!("--program {}", path.display()))?;
    ensure!(found.is_file(), "--program {}: not a file", path.display());
    Ok(found)
}

fn parse_setting(text: &str) -> Result<(String, String), &'static str> {
    let is_name = |name: &str| {
        let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
        name.bytes().next().is_some_and(is_upper)
            && name.bytes().all(|byte| is_upper(byte) || byte.is_ascii_digit())
    };
    match text.split_once('=') {
        Some((name, value)) if is_name(name) => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, where NAME has capital letters, digits and underscores"),
    }
}

/// A name has no character that has a meaning in `OTEL_RESOURCE_ATTRIBUTES`.
fn parse_name(text: &str) -> Result<String, &'static str> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(is_valid) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 64 letters, digits, '.', '_' or '-'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_a_name_in_capitals_and_any_value() {
        let setting = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(parse_setting("LINKS_URL=http://a/?b=c"), setting("LINKS_URL", "http://a/?b=c"));
        assert_eq!(parse_setting("RUST_LOG="), setting("RUST_LOG", ""));
        for text in ["RUST_LOG", "=1", "a=1", "1A=1", "A B=1"] {
            assert!(parse_setting(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_with_a_separator_is_refused() {
        assert_eq!(parse_name("orders-2.14.0"), Ok("orders-2.14.0".to_owned()));
        for text in ["", "a,b", "a=b", "a b", &"a".repeat(65)] {
            assert!(parse_name(text).is_err(), "{text}");
        }
    }
}
