//! Writes to the terminal on behalf of the commands, and is the only module that does.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::time::Duration;

/// Writes one line to standard output.
pub(crate) fn print(line: impl Display) {
    // A reader that has gone, such as `head`, is no reason to stop half-way.
    writeln!(io::stdout().lock(), "{line}").unwrap_or_default();
}

/// Writes lines that somebody else wrote, set off by their indentation.
pub(crate) fn print_indented(lines: impl IntoIterator<Item = impl Display>) {
    for line in lines {
        print(format!("    {line}").trim_end());
    }
}

/// Writes one line to standard error.
pub(crate) fn print_error(line: impl Display) {
    writeln!(io::stderr().lock(), "muster: {line}").unwrap_or_default();
}

/// A duration as a person reads it: `0.4 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
