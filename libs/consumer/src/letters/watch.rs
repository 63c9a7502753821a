//! In the background: counts the open letters, deletes those that are decided, and purges old decisions.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error as StdError,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rdkafka::{Offset, TopicPartitionList, admin::AdminOptions};
use tokio_util::sync::CancellationToken;

use super::{Error, Inspect, Letters, Selection, State, TIME_OF_A_CALL};
use crate::metrics;

/// How often the letters are counted.
const INTERVAL: Duration = Duration::from_secs(5);

/// Time limit for a deletion.
const DELETE_TIMEOUT: Duration = Duration::from_secs(10);

/// The state of the topic.
#[derive(Default)]
struct Observed {
    n_open: i64,
    /// When the oldest open letter was written.
    oldest: Option<DateTime<Utc>>,
    /// The offset below which a partition has decided letters only, for each that has some.
    decided: BTreeMap<i32, i64>,
}

impl<I: Inspect> Letters<I> {
    /// Watches the letters until `stop`.
    pub async fn watch(&self, stop: CancellationToken) {
        tokio::select! {
            never = self.observe_repeatedly() => match never {},
            () = self.decisions.run_retention(stop) => {}
        }
    }

    /// While Kafka or the database does not answer, the gauges keep their values, and that of the time says how old they are.
    async fn observe_repeatedly(&self) -> Infallible {
        loop {
            if let Err(error) = self.observe_once().await {
                tracing::warn!(error = &error as &dyn StdError, "cannot count the dead letters");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn observe_once(&self) -> Result<(), Error> {
        let observed = self.observe().await?;
        let topic = [self.settings.dead_letter_topic.as_str()];
        metrics::DEAD_LETTERS.with_label_values(&topic).set(observed.n_open);
        let age = observed.oldest.and_then(|oldest| (Utc::now() - oldest).to_std().ok());
        metrics::OLDEST_DEAD_LETTER.with_label_values(&topic).set(age.unwrap_or_default().as_secs_f64());
        metrics::DEAD_LETTERS_OBSERVED.with_label_values(&topic).set(telemetry::metrics::now());
        if let Err(error) = self.delete(&observed.decided).await {
            tracing::warn!(error = &error as &dyn StdError, "decided dead letters stay in the topic");
        }
        Ok(())
    }

    /// Reads each partition up to its first open letter, and counts those behind it: the topic says which letters exist, and a row that
    /// belongs to none of them is no decision about it. Many decided letters, which cannot be deleted, take several rounds.
    async fn observe(&self) -> Result<Observed, Error> {
        let started = Instant::now();
        let mut observed = Observed::default();
        let mut scan = self.scan(&Selection::default(), None).await?;
        while let Some(letter) = scan.next().await? {
            let (partition, at) = (letter.id.partition, letter.at());
            let is_open = letter.state != State::Decided;
            if is_open {
                observed.n_open += 1;
                observed.oldest = observed.oldest.into_iter().chain(at).min();
            } else {
                observed.decided.insert(partition, letter.id.offset + 1);
            }
            if is_open || started.elapsed() >= TIME_OF_A_CALL {
                let rest = scan.skip_rest();
                let n_decided = self.decisions.count(partition, rest.clone(), at).await?;
                observed.n_open += rest.end - rest.start - n_decided;
            }
        }
        Ok(observed)
    }

    /// Deletes decided letters from the topic, because their payloads hold personal data.
    async fn delete(&self, decided: &BTreeMap<i32, i64>) -> Result<(), Error> {
        if decided.is_empty() {
            return Ok(());
        }
        let mut below = TopicPartitionList::new();
        for (partition, end) in decided {
            let topic = &self.settings.dead_letter_topic;
            below.add_partition_offset(topic, *partition, Offset::Offset(*end))?;
        }
        let options =
            AdminOptions::new().operation_timeout(Some(DELETE_TIMEOUT)).request_timeout(Some(DELETE_TIMEOUT));
        let deleted = self.admin.delete_records(&below, &options).await?;
        for partition in deleted.elements() {
            partition.error()?;
        }
        Ok(())
    }
}
