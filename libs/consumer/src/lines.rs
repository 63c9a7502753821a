//! The keys of one partition that have a line of postponed events.

use std::{collections::HashSet, sync::Mutex};

use pg::Error;
use tokio::sync::OnceCell;

use crate::{
    event::Event,
    postponed::{Place, Postponed},
};

/// The keys with a line, of one partition in one assignment.
///
/// Only the owner of the partition begins a line, so the set is read from the database once; another member can end a line, so a key in it
/// is looked up. A line that a former owner begins after the partition was taken away from it is not in the set: its event is delivered
/// to this owner too.
pub(crate) struct Lines {
    topic: String,
    partition: i32,
    keys: OnceCell<Mutex<HashSet<Vec<u8>>>>,
}

impl Lines {
    pub(crate) fn new(topic: &str, partition: i32) -> Self {
        Self { topic: topic.to_owned(), partition, keys: OnceCell::new() }
    }

    /// Adds the event to the line of its key, if there is one.
    pub(crate) async fn join(
        &self,
        postponed: &Postponed,
        event: &Event,
        is_late: bool,
    ) -> Result<Option<Place>, Error> {
        let keys = self.keys(postponed).await?;
        let Some(key) = &event.key else { return Ok(None) };
        if !keys.lock().expect("no panic under this lock").contains(key) {
            return Ok(None);
        }
        let place = postponed.join(event, is_late).await?;
        if place.is_none() {
            keys.lock().expect("no panic under this lock").remove(key);
        }
        Ok(place)
    }

    /// The event begins a line.
    pub(crate) async fn begin(&self, postponed: &Postponed, event: &Event) -> Result<(), Error> {
        let keys = self.keys(postponed).await?;
        keys.lock().expect("no panic under this lock").extend(event.key.clone());
        Ok(())
    }

    async fn keys(&self, postponed: &Postponed) -> Result<&Mutex<HashSet<Vec<u8>>>, Error> {
        let read = async || {
            let keys = postponed.keys(&self.topic, self.partition).await?;
            Ok(Mutex::new(keys.into_iter().collect()))
        };
        self.keys.get_or_try_init(read).await
    }
}
