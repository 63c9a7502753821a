//! Terminal output of the commands. No other module prints.

use std::{
    fmt::Display,
    io::{self, Write as _},
    time::Duration,
};

pub(crate) fn print(line: impl Display) {
    // A closed pipe, such as that of `head`, is no reason to stop half-way.
    writeln!(io::stdout().lock(), "{line}").unwrap_or_default();
}

/// Writes lines of another source, indented.
pub(crate) fn print_indented(lines: impl IntoIterator<Item = impl Display>) {
    for line in lines {
        print(format!("    {line}").trim_end());
    }
}

pub(crate) fn print_error(line: impl Display) {
    writeln!(io::stderr().lock(), "muster: {line}").unwrap_or_default();
}

/// Formats a duration as `0.4 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
