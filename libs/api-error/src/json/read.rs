//! How a type reads itself from a body, and how it says all that is wrong there.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use super::{
    number::{self, NotWhole},
    tree::{Place, Tree},
};
use crate::problems::{Problems, listed};

/// A type that a body, or a part of one, can be read as.
///
/// Reading goes on after a fault, so that one answer names all of them: `?` belongs behind the last of a value's members.
pub trait FromJson: Sized {
    /// Reads a value. `None` when something is wrong, which `value` was told.
    fn from_json(value: Node<'_>) -> Option<Self>;
}

/// A value of the body that is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    pub(super) tree: &'a Tree<'a>,
    pub(super) place: &'a Place<'a>,
    pub(super) problems: &'a Problems,
}

impl Node<'_> {
    /// Reads an object. Members that `read` does not ask for are refused.
    pub fn object<T>(self, read: impl FnOnce(&mut Members<'_>) -> Option<T>) -> Option<T> {
        let Tree::Object(present) = self.tree else { return self.is_not("an object") };
        let mut members = Members { node: self, present, asked: Vec::new() };
        let value = read(&mut members);
        members.refuse_others();
        value
    }

    /// Reads an array whose length is in this range. Of one that is too long no element is looked at.
    pub fn array<T>(
        self,
        length: RangeInclusive<usize>,
        mut read: impl FnMut(usize, Node<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Tree::Array(elements) = self.tree else { return self.is_not("an array") };
        if !length.contains(&elements.len()) {
            return self.refuse(format!("must have {} to {} elements", length.start(), length.end()));
        }
        let mut values = Vec::with_capacity(elements.len());
        for (index, tree) in elements.iter().enumerate() {
            let place = Place::Element(self.place, index);
            values.extend(read(index, Node { tree, place: &place, ..self }));
        }
        (values.len() == elements.len()).then_some(values)
    }

    /// Reads a string of a type that says itself what is wrong with one.
    pub fn text<T: FromStr<Err: Display>>(self) -> Option<T> {
        match self.tree {
            Tree::Text(text) => {
                text.parse().map_or_else(|error: T::Err| self.refuse(error.to_string()), Some)
            }
            Tree::Broken => None,
            Tree::Null | Tree::Bool | Tree::Number(_) | Tree::Array(_) | Tree::Object(_) => {
                self.is_not("a string")
            }
        }
    }

    /// Reads a whole number in this range, however it is written (`1`, `1.0` and `1e0` are the same).
    pub fn integer<T: TryFrom<i64> + Into<i64> + Copy + Display>(
        self,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let Tree::Number(text) = self.tree else { return self.is_not("a whole number") };
        let in_range = (*range.start()).into()..=(*range.end()).into();
        match number::whole(text) {
            Ok(value) if in_range.contains(&value) => T::try_from(value).ok(),
            Err(NotWhole::Fraction) => self.refuse("must be a whole number".to_owned()),
            Ok(_) | Err(NotWhole::Beyond) => {
                self.refuse(format!("must be {} to {}", range.start(), range.end()))
            }
        }
    }

    /// Says what is wrong with this value; the message continues its pointer.
    pub fn refuse<T>(self, message: String) -> Option<T> {
        self.problems.add(self.place.to_string(), message);
        None
    }

    fn is_not<T>(self, expected: &str) -> Option<T> {
        self.refuse(format!("must be {expected}, not {}", self.tree.kind()))
    }
}

/// The members of an object that is being read.
#[derive(Debug)]
pub struct Members<'a> {
    node: Node<'a>,
    present: &'a [(String, Tree<'a>)],
    asked: Vec<&'static str>,
}

impl Members<'_> {
    /// Reads a member that has to be there.
    pub fn required<T>(&mut self, name: &'static str, read: impl FnOnce(Node<'_>) -> Option<T>) -> Option<T> {
        self.asked.push(name);
        let place = Place::Member(self.node.place, name);
        let member = self.present.iter().find(|(present, _)| present == name);
        let Some((_, tree)) = member else {
            self.node.problems.add(place.to_string(), "is required");
            return None;
        };
        read(Node { tree, place: &place, ..self.node })
    }

    /// Reads a member that has to be there, as [`Node::text`] does.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is of one lifetime, and `required` takes any"
    )]
    pub fn required_text<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        self.required(name, |node| node.text())
    }

    fn refuse_others(&self) {
        for (name, _) in self.present {
            if !self.asked.contains(&name.as_str()) {
                let place = Place::Member(self.node.place, name);
                let message = format!("is not known here; known are: {}", listed(&self.asked));
                self.node.problems.add(place.to_string(), message);
            }
        }
    }
}
