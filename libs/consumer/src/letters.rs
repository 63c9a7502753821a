//! Dead letters, for people: find, show, replay and discard them.
//!
//! The dead-letter topic is the record of the letters; the table `dead_letter_decisions` says what was decided about each. A letter is open
//! until a decision about it is finished. Nothing is kept in memory between two calls, so every replica can answer every call.

mod decisions;
mod headers;
mod letter;
mod position;
mod reader;
mod scan;
mod selection;
mod show;
mod watch;
mod work;

use std::{sync::Arc, time::Duration};

use events::Kafka;
use pg::Pool;
use rdkafka::{
    admin::AdminClient, client::DefaultClientContext, error::KafkaError, producer::FutureProducer,
};
use tokio::sync::Mutex;

use self::{decisions::Decisions, reader::Reader};
pub use self::{
    decisions::{Action, Decision},
    letter::{Inspect, InspectError, Inspected, Row, State},
    position::{LetterId, Position},
    selection::Selection,
    show::{Content, Shown},
    work::{Act, Order, Page, Rate},
};
use crate::{client::client_config, producer};

/// How long one call searches or replays. A longer job takes several calls.
const TIME_OF_A_CALL: Duration = Duration::from_secs(2);

/// Names of topics.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The dead-letter topic of the group.
    pub dead_letter_topic: String,
    /// The first retry topic of the group, for replayed events: no other group reads it.
    pub replay_topic: String,
    /// The group whose letters these are.
    pub group: String,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client of Kafka failed.
    #[error("Kafka failed")]
    Kafka(#[from] KafkaError),
    /// The broker does not answer in time.
    #[error("Kafka does not answer within {0:?}")]
    Silent(Duration),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] pg::Error),
    /// Whether a letter is selected is not known: its event cannot be decoded now.
    #[error("letter {0} cannot be selected")]
    Undecided(LetterId, #[source] InspectError),
    /// A task panicked.
    #[error("a task of this call ended unexpectedly")]
    Interrupted,
}

/// The dead letters of one group.
pub struct Letters<I> {
    settings: Arc<Settings>,
    /// One reader, so that the memory for unread records does not grow with the number of calls.
    reader: Mutex<Reader>,
    producer: FutureProducer,
    admin: AdminClient<DefaultClientContext>,
    decisions: Decisions,
    inspect: I,
}

impl<I: Inspect> Letters<I> {
    /// Makes the clients; they connect later.
    ///
    /// # Errors
    /// librdkafka refuses the properties.
    pub fn new(kafka: &Kafka, settings: Settings, pool: Pool, inspect: I) -> Result<Self, KafkaError> {
        Ok(Self {
            reader: Mutex::new(Reader::new(kafka, &settings)?),
            producer: producer::create(kafka)?,
            admin: client_config(kafka).create()?,
            decisions: Decisions { pool, topic: settings.dead_letter_topic.as_str().into() },
            settings: Arc::new(settings),
            inspect,
        })
    }
}
