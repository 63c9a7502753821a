//! Checks of the repository as a whole: its architecture, the links of its documents, the words of its texts.

#![expect(clippy::unwrap_used, reason = "tests")]

mod architecture;
mod links;
mod repository;
mod words;
