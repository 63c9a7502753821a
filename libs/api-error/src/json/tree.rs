//! A body as a tree, within the bounds that hold for every body: nesting, arrays, strings and numbers.
//!
//! Numbers stay as they are written, since `1`, `1.0` and `1e0` are the same whole number to JSON Schema and three kinds of number
//! to most parsers.

use std::{collections::BTreeSet, fmt};

use super::{JsonLimit, number};
use crate::problems::{Problems, escape};

/// One value.
#[derive(Debug)]
pub(super) enum Tree<'a> {
    Null,
    Bool,
    /// As it is written.
    Number(&'a str),
    Text(String),
    /// A string that is no Unicode text, which the problems name.
    Broken,
    Array(Vec<Tree<'a>>),
    /// Each name once: a second one is among the problems, and not here.
    Object(Vec<(String, Tree<'a>)>),
}

impl Tree<'_> {
    /// What it is, for a sentence.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) | Self::Broken => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Notes every number that not all readers understand alike, unless more is known to be wrong with it.
    pub(super) fn check_numbers(&self, place: &Place<'_>, problems: &Problems) {
        match self {
            Self::Number(text) if !number::is_exact(text) => {
                problems.add_first(place.to_string(), number::bounds());
            }
            Self::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    element.check_numbers(&Place::Element(place, index), problems);
                }
            }
            Self::Object(members) => {
                for (name, member) in members {
                    member.check_numbers(&Place::Member(place, name), problems);
                }
            }
            Self::Null | Self::Bool | Self::Number(_) | Self::Text(_) | Self::Broken => {}
        }
    }
}

/// Where in the body a value is, from the inside out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    Root,
    Element(&'a Place<'a>, usize),
    Member(&'a Place<'a>, &'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Element(parent, index) => write!(f, "{parent}/{index}"),
            Self::Member(parent, name) => write!(f, "{parent}/{}", escape(name)),
        }
    }
}

/// The body has more of something than any body may: there is no tree of it, and the problems say why.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutOfBounds;

/// Makes the tree of a text whose syntax was checked.
pub(super) fn grow<'a>(
    text: &'a str,
    limit: JsonLimit,
    problems: &Problems,
) -> Result<Tree<'a>, OutOfBounds> {
    Scanner { text, at: 0, limit, problems }.value(&Place::Root, 1)
}

/// Goes over a text that is JSON, so it has no syntax to check.
struct Scanner<'a, 'p> {
    text: &'a str,
    at: usize,
    limit: JsonLimit,
    problems: &'p Problems,
}

impl<'a> Scanner<'a, '_> {
    /// `depth` is that of an object or array which begins here.
    fn value(&mut self, place: &Place<'_>, depth: usize) -> Result<Tree<'a>, OutOfBounds> {
        match self.peek() {
            b'{' => self.object(place, depth),
            b'[' => self.array(place, depth),
            b'"' => self.text(place, "a string").map(|text| text.map_or(Tree::Broken, Tree::Text)),
            _ => Ok(self.literal()),
        }
    }

    fn object(&mut self, place: &Place<'_>, depth: usize) -> Result<Tree<'a>, OutOfBounds> {
        self.check_depth(place, depth)?;
        let mut names = BTreeSet::new();
        let mut members = Vec::new();
        while self.goes_on(b'}') {
            let name = self.text(place, "a member's name")?;
            self.skip(b':');
            let Some(name) = name else {
                self.value(place, depth + 1)?;
                continue;
            };
            let place = Place::Member(place, &name);
            let value = self.value(&place, depth + 1)?;
            if names.insert(name.clone()) {
                members.push((name, value));
            } else {
                self.problems.add(place.to_string(), "must be there once only");
            }
        }
        Ok(Tree::Object(members))
    }

    fn array(&mut self, place: &Place<'_>, depth: usize) -> Result<Tree<'a>, OutOfBounds> {
        self.check_depth(place, depth)?;
        let mut elements = Vec::new();
        while self.goes_on(b']') {
            if elements.len() == self.limit.max_elements {
                let message = format!("must not have more than {} elements", self.limit.max_elements);
                return self.refuse(place, message);
            }
            let place = Place::Element(place, elements.len());
            elements.push(self.value(&place, depth + 1)?);
        }
        Ok(Tree::Array(elements))
    }

    /// `None` is a string that is no Unicode text.
    fn text(&mut self, place: &Place<'_>, what: &str) -> Result<Option<String>, OutOfBounds> {
        let written = self.string();
        let Ok(text) = serde_json::from_str::<String>(written) else {
            // The one fault that a string of good syntax can have.
            let message = format!("{what} must be Unicode text: an escape is half of a surrogate pair");
            self.problems.add(place.to_string(), message);
            return Ok(None);
        };
        if text.len() > self.limit.max_string_bytes {
            let message = format!("{what} must not be longer than {} bytes", self.limit.max_string_bytes);
            return self.refuse(place, message);
        }
        Ok(Some(text))
    }

    /// Passes a string and returns it as it is written, in its quotes.
    fn string(&mut self) -> &'a str {
        self.peek();
        let begin = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while bytes[self.at] != b'"' {
            self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        self.text.get(begin..self.at).unwrap_or_default()
    }

    fn literal(&mut self) -> Tree<'a> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let literal = rest.split([',', ']', '}', ' ', '\t', '\r', '\n']).next().unwrap_or_default();
        self.at += literal.len();
        match literal {
            "null" => Tree::Null,
            "true" | "false" => Tree::Bool,
            number => Tree::Number(number),
        }
    }

    /// Whether another element or member comes; passes the bracket before the first one, and the comma before any other.
    fn goes_on(&mut self, end: u8) -> bool {
        if self.peek() != end {
            self.at += 1;
            if self.peek() != end {
                return true;
            }
        }
        self.at += 1;
        false
    }

    fn skip(&mut self, expected: u8) {
        if self.peek() == expected {
            self.at += 1;
        }
    }

    /// Passes blanks, and returns the byte that comes.
    fn peek(&mut self) -> u8 {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.at += blanks;
        rest.get(blanks).copied().unwrap_or_default()
    }

    fn check_depth(&self, place: &Place<'_>, depth: usize) -> Result<(), OutOfBounds> {
        if depth > self.limit.max_depth {
            return self
                .refuse(place, format!("must not be nested deeper than {} levels", self.limit.max_depth));
        }
        Ok(())
    }

    fn refuse<T>(&self, place: &Place<'_>, message: String) -> Result<T, OutOfBounds> {
        self.problems.add(place.to_string(), message);
        Err(OutOfBounds)
    }
}
