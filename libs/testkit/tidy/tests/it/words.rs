//! Words and phrases that this project does not use, in prose, comments, messages and names alike. CONTRIBUTING.md says what to
//! write instead.

use std::path::Path;

use crate::repository::{files, read};

const BANNED: [&str; 9] = [
    "as absent as",
    "are to be",
    "is not to",
    "is to be",
    "nobody",
    "somebody",
    "whatever",
    "whichever",
    "whoever",
];

/// Files with these kinds of text.
const KINDS: [&str; 9] = ["Makefile", "html", "md", "rs", "run", "sh", "toml", "yaml", "yml"];

/// The files that may contain them: this list, and the page with the reasons.
const ALLOWED: [&str; 2] = ["CONTRIBUTING.md", "libs/testkit/tidy/tests/it/words.rs"];

/// The words of a text in lower case, each with its line. `snake_case` is several words, `CamelCase` is one.
fn words(text: &str) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(n, line)| line.split(|c: char| !c.is_alphabetic()).map(move |word| (n + 1, word)))
        .filter(|(_, word)| !word.is_empty())
        .map(|(n, word)| (n, word.to_lowercase()))
        .collect()
}

/// The line and the phrase of everything in a text that is banned; a phrase may go over the end of a line.
fn banned(text: &str) -> Vec<(usize, &'static str)> {
    let words = words(text);
    let starts = |at: usize, phrase: &str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        let found = words[at..].iter().map(|(_, word)| word.as_str()).take(phrase.len());
        found.eq(phrase.iter().copied())
    };
    let found = (0..words.len()).flat_map(|at| BANNED.into_iter().map(move |phrase| (at, phrase)));
    found.filter(|(at, phrase)| starts(*at, phrase)).map(|(at, phrase)| (words[at].0, phrase)).collect()
}

#[test]
fn no_text_uses_a_banned_word() {
    let is_checked = |path: &&Path| !ALLOWED.iter().any(|allowed| path.starts_with(allowed));
    let mut found = Vec::new();
    for path in files(&KINDS).iter().map(AsRef::as_ref).filter(is_checked) {
        for (line, phrase) in banned(&read(path)) {
            found.push(format!("{}:{line}: {phrase}", path.display()));
        }
    }
    assert!(found.is_empty(), "say who does what instead, see CONTRIBUTING.md:\n{}", found.join("\n"));
}

#[test]
fn banned_words_are_found_in_names_and_across_lines() {
    let text = "fn whoever_asks() {}\n/// This is\n/// to be done. Nobody's.\n";
    assert_eq!(banned(text), [(1, "whoever"), (2, "is to be"), (3, "nobody")]);
    assert_eq!(banned("fn this_is_fine() {} // toward everybody"), []);
}
