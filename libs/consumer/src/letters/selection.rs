//! Which letters a call is about.

use std::{collections::BTreeSet, ops::Range};

use chrono::{DateTime, Utc};
use events::header::EVENT_TYPE;
use uuid::Uuid;

use super::{Inspect, InspectError, LetterId, letter::Letter};

/// Conditions that all hold. Without a condition: every letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// One of these letters.
    pub ids: Option<BTreeSet<LetterId>>,
    /// The code of its failure.
    pub code: Option<String>,
    /// The type of its event.
    pub event_type: Option<String>,
    /// The aggregate id of its event.
    pub key: Option<Uuid>,
    /// The tenant of its event. A letter that cannot be decoded has none.
    pub tenant: Option<String>,
    /// It became a dead letter at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// It became a dead letter before this time.
    pub until: Option<DateTime<Utc>>,
}

impl Selection {
    /// Returns the offsets of this range that have to be read.
    pub(super) fn within(&self, partition: i32, offsets: Range<i64>) -> Range<i64> {
        let Some(ids) = &self.ids else { return offsets };
        let of_partition = || ids.iter().filter(|id| id.partition == partition).map(|id| id.offset);
        match (of_partition().min(), of_partition().max()) {
            (Some(first), Some(last)) => offsets.start.max(first)..offsets.end.min(last.saturating_add(1)),
            _ => offsets.start..offsets.start,
        }
    }

    /// Returns whether the letter is selected; an error while its event cannot be decoded and that decides.
    pub(super) async fn admits(&self, letter: &Letter, inspect: &impl Inspect) -> Result<bool, InspectError> {
        Ok(self.admits_undecoded(letter) && self.admits_tenant(letter, inspect).await?)
    }

    fn admits_undecoded(&self, letter: &Letter) -> bool {
        let has = |header, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| letter.header(header) == Some(wanted))
        };
        let at = letter.at();
        self.ids.as_ref().is_none_or(|ids| ids.contains(&letter.id))
            && has("dead-letter-code", &self.code)
            && has(EVENT_TYPE, &self.event_type)
            && self.key.is_none_or(|wanted| letter.key() == Some(wanted))
            && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
    }

    async fn admits_tenant(&self, letter: &Letter, inspect: &impl Inspect) -> Result<bool, InspectError> {
        let Some(wanted) = &self.tenant else { return Ok(true) };
        match letter.inspect(inspect).await {
            Ok(event) => Ok(event.tenant == *wanted),
            Err(InspectError::Undecodable(_)) => Ok(false),
            Err(error @ InspectError::Unavailable(_)) => Err(error),
        }
    }
}
