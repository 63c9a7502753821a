//! In the background: counts the open letters, deletes those that are decided, and purges old decisions.

use std::{collections::BTreeSet, convert::Infallible, error::Error as StdError, time::Duration};

use chrono::Utc;
use rdkafka::{Offset, TopicPartitionList, admin::AdminOptions};
use tokio_util::sync::CancellationToken;

use super::{Error, Inspect, LetterId, Letters, Selection};
use crate::metrics;

/// How often the letters are counted.
const INTERVAL: Duration = Duration::from_secs(5);

/// Time limit for a deletion.
const DELETE_TIMEOUT: Duration = Duration::from_secs(10);

/// The state of the topic.
struct Observed {
    n_open: i64,
    /// The first open letter of each partition that has one.
    first_open: BTreeSet<LetterId>,
    /// The offset below which a partition has decided letters only, for each that has some.
    decided: TopicPartitionList,
}

impl<I: Inspect> Letters<I> {
    /// Watches the letters until `stop`.
    pub async fn watch(&self, stop: CancellationToken) {
        tokio::select! {
            never = self.observe_repeatedly() => match never {},
            () = self.decisions.run_retention(stop) => {}
        }
    }

    /// While Kafka or the database does not answer, the gauges keep their values.
    async fn observe_repeatedly(&self) -> Infallible {
        loop {
            if let Err(error) = self.observe_once().await {
                tracing::debug!(error = &error as &dyn StdError, "cannot count the dead letters");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn observe_once(&self) -> Result<(), Error> {
        let observed = self.observe().await?;
        let topic = [self.settings.dead_letter_topic.as_str()];
        metrics::DEAD_LETTERS.with_label_values(&topic).set(observed.n_open);
        let age = self.age_of_oldest(&observed.first_open).await?;
        metrics::OLDEST_DEAD_LETTER.with_label_values(&topic).set(age.as_secs_f64());
        if let Err(error) = self.delete(&observed.decided).await {
            tracing::warn!(error = &error as &dyn StdError, "decided dead letters stay in the topic");
        }
        Ok(())
    }

    async fn observe(&self) -> Result<Observed, Error> {
        let topic = &self.settings.dead_letter_topic;
        let bounds = self.reader.lock().await.bounds().await?;
        let mut observed =
            Observed { n_open: 0, first_open: BTreeSet::new(), decided: TopicPartitionList::new() };
        for (partition, (first, end)) in bounds {
            let count = self.decisions.count(partition, first..end).await?;
            observed.n_open += end - first - count.n_finished;
            if count.first_open < end {
                observed.first_open.insert(LetterId { partition, offset: count.first_open });
            }
            if count.first_open > first {
                observed.decided.add_partition_offset(topic, partition, Offset::Offset(count.first_open))?;
            }
        }
        Ok(observed)
    }

    /// Returns the age of the oldest open letter; zero when there is none.
    async fn age_of_oldest(&self, first_open: &BTreeSet<LetterId>) -> Result<Duration, Error> {
        let mut oldest = None;
        for id in first_open {
            let selection = Selection { ids: Some(BTreeSet::from([*id])), ..Selection::default() };
            let letter = self.scan(&selection, None).await?.next().await?;
            let at = letter.and_then(|letter| letter.at());
            oldest = oldest.into_iter().chain(at).min();
        }
        let age = oldest.map(|oldest| Utc::now() - oldest);
        Ok(age.and_then(|age| age.to_std().ok()).unwrap_or_default())
    }

    /// Deletes decided letters from the topic, because their payloads hold personal data.
    async fn delete(&self, decided: &TopicPartitionList) -> Result<(), Error> {
        if decided.count() == 0 {
            return Ok(());
        }
        let options =
            AdminOptions::new().operation_timeout(Some(DELETE_TIMEOUT)).request_timeout(Some(DELETE_TIMEOUT));
        let deleted = self.admin.delete_records(decided, &options).await?;
        for partition in deleted.elements() {
            partition.error()?;
        }
        Ok(())
    }
}
