//! The file of events: one JSON object on each line, oldest first.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::Context as _;

use super::event::AlertEvent;
use super::states::AlertStates;
use crate::console::print_error;

/// How large the file may become; a event is about one kilobyte.
const LIMIT: u64 = 4 * 1024 * 1024;

/// Reads the events from a place in the file on, and returns the place where they end. A file that became shorter is
/// another one, and is read from its beginning. A last line that is not whole yet is left for the next time. Half a line in the
/// middle is what a killed process left, and is skipped with a warning.
pub(super) fn read(path: &Path, from: usize) -> anyhow::Result<(Vec<AlertEvent>, usize)> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
    };
    let (from, new) = text.get(from..).map_or((0, text.as_str()), |new| (from, new));
    let whole = new.rfind('\n').map_or("", |end| new.get(..=end).unwrap_or_default());
    let events = whole.lines().filter_map(|line| match serde_json::from_str(line) {
        Ok(event) => Some(event),
        Err(error) => {
            print_error(format_args!("a line of {} is skipped: {error}", path.display()));
            None
        }
    });
    Ok((events.collect(), from + whole.len()))
}

/// Appends an event. A full file is rotated: the next one begins with the open alerts.
pub(super) fn append(path: &Path, event: &AlertEvent, states: &AlertStates) -> anyhow::Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > LIMIT) {
        begin_anew(path, states)?;
    }
    let mut line = line(event)?;
    let mut file =
        File::options().create(true).read(true).append(true).open(path).context("the file of pages")?;
    if ends_in_half_a_line(&mut file).context("the file of pages")? {
        line.insert(0, b'\n');
    }
    file.write_all(&line).context("the file of pages")
}

/// At every moment there is a file that has what is open.
fn begin_anew(path: &Path, states: &AlertStates) -> anyhow::Result<()> {
    let next = path.with_extension("next.jsonl");
    let lines: Vec<_> = states.open().into_iter().map(line).collect::<Result<_, _>>()?;
    fs::write(&next, lines.concat()).context("the next file of pages")?;
    fs::copy(path, path.with_extension("previous.jsonl")).context("the full file of pages is not kept")?;
    fs::rename(&next, path).context("the full file of pages stays")
}

fn line(event: &AlertEvent) -> anyhow::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(event).context("a event is JSON")?;
    line.push(b'\n');
    Ok(line)
}

/// A process that was killed while it wrote leaves half a line; the next event must not become its other half.
fn ends_in_half_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"received_at":"","status":"firing","severity":"page","alert":"TargetDown","service":"orders","slo":null,"starts_at":"","ends_at":null,"summary":"","description":"","runbook":"","fingerprint":"1"}"#;

    #[test]
    fn half_a_line_waits_for_its_other_half_and_a_new_file_is_read_from_its_beginning() {
        let path = std::env::temp_dir().join(format!("muster-screen-{}.jsonl", std::process::id()));
        let line = EVENT;
        fs::write(&path, format!("{line}\n{}", line.get(..10).unwrap())).unwrap();
        let (first, end) = read(&path, 0).unwrap();
        assert_eq!(first.len(), 1);
        fs::write(&path, format!("{line}\n{line}\n")).unwrap();
        let (second, end) = read(&path, end).unwrap();
        assert_eq!(second.len(), 1);
        fs::write(&path, format!("{line}\n")).unwrap();
        assert_eq!(read(&path, end).unwrap().0.len(), 1);
        fs::remove_file(path).unwrap();
    }
}
