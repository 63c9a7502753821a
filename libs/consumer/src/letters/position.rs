//! The id of a letter, and a position in the search for letters, as texts.

use std::{fmt, str::FromStr};

/// Partitions of a dead-letter topic at most.
const MAX_PARTITIONS: usize = 1_000;

/// The id of a letter: `PARTITION-OFFSET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    /// The partition of the dead-letter topic.
    pub partition: i32,
    /// The offset in that partition.
    pub offset: i64,
}

/// The text is not the id of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the id of a letter, such as 0-17")]
pub struct InvalidId;

/// Where the search for letters continues, and where it ends: letters that arrive after its start are not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub(super) next: LetterId,
    /// The end of each partition, by its number.
    pub(super) ends: Vec<i64>,
}

/// The text is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be next of a response")]
pub struct InvalidPosition;

impl fmt::Display for LetterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.partition, self.offset)
    }
}

impl FromStr for LetterId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (partition, offset) = text.split_once('-').ok_or(InvalidId)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(partition) || !digits(offset) {
            return Err(InvalidId);
        }
        Ok(Self {
            partition: partition.parse().or(Err(InvalidId))?,
            offset: offset.parse().or(Err(InvalidId))?,
        })
    }
}

/// `PARTITION-OFFSET:END:END…`.
impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.next)?;
        self.ends.iter().try_for_each(|end| write!(formatter, ":{end}"))
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let mut parts = text.split(':');
        let next = parts.next().and_then(|id| id.parse().ok()).ok_or(InvalidPosition)?;
        let ends = parts.take(MAX_PARTITIONS + 1).map(|end| end.parse().ok().filter(|end| *end >= 0));
        let ends: Vec<i64> = ends.collect::<Option<_>>().ok_or(InvalidPosition)?;
        if ends.len() > MAX_PARTITIONS { Err(InvalidPosition) } else { Ok(Self { next, ends }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_positions_survive_their_texts() {
        let next = LetterId { partition: 1, offset: 17 };
        assert_eq!(next.to_string().parse(), Ok(next));
        let position = Position { next, ends: vec![3, 40] };
        assert_eq!(position.to_string(), "1-17:3:40");
        assert_eq!(position.to_string().parse(), Ok(position));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "1", "-1", "1-", "a-1", "1-+1", "1--1", "1-1-1", "99999999999-1"] {
            assert_eq!(text.parse::<LetterId>(), Err(InvalidId), "{text}");
        }
        let many = format!("0-0{}", ":1".repeat(1_001));
        for text in ["", "0-1:", "0-1:-1", "0-1:a", &many] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text}");
        }
    }
}
