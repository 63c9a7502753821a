//! What was due and what of it was late: an objective that sees records which are never handled.
//!
//! A record is due once it is older than the setting, and late if it is not finished then. Both are counted from offsets and
//! not where records are handled, so that what waits in the topic counts as well. A partition is counted from where
//! its assignment began, at the committed offset: what came due while no member ran is counted by the next one, as late.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Weak},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use chrono::Utc;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
};

use crate::{
    Settings,
    assignment::{Assignment, Standing},
    context::Context,
    metrics,
};

/// How often records are counted: in a drill, the shortest window of an objective is five seconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long the broker may take for each answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What is known of an assigned partition.
#[derive(Clone, Copy, Debug)]
struct Counted {
    epoch: u64,
    /// Every record below was counted.
    up_to: i64,
    /// The lowest unfinished record, when this process has not received it yet, and since when it is waited for.
    awaited: Option<(i64, Instant)>,
}

/// The offsets that a count needs, of one partition.
#[derive(Clone, Copy, Debug)]
struct Offsets {
    /// Where this assignment began.
    start: i64,
    /// The lowest unfinished record.
    lowest: i64,
    /// The first record that is not due yet.
    due_end: i64,
    /// The end of the partition.
    end: i64,
}

/// What one count adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    due: u64,
    late: u64,
}

/// Keeps counting. While the broker does not answer, `consumer_observed_timestamp_seconds` stands still.
pub(crate) async fn keep_sampled(
    settings: &Settings,
    consumer: Weak<StreamConsumer<Context>>,
    assignment: &Assignment,
) -> Infallible {
    let labels = [settings.group.as_str(), settings.topic.as_str()];
    metrics::show_due(labels);
    let mut counted = HashMap::new();
    loop {
        let standings = assignment.standings();
        let asked = ask(settings.clone(), Weak::clone(&consumer), standings.clone());
        match tokio::task::spawn_blocking(asked).await {
            Ok(Ok(offsets)) => count(labels, &standings, &offsets, &mut counted),
            Ok(Err(error)) => tracing::debug!(%error, "what is due cannot be counted"),
            Err(error) => tracing::warn!(%error, "counting what is due panicked"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Asks the broker, on a thread that may block.
fn ask(
    settings: Settings,
    consumer: Weak<StreamConsumer<Context>>,
    standings: Vec<Standing>,
) -> impl FnOnce() -> Result<HashMap<i32, Offsets>, KafkaError> {
    move || {
        let Some(consumer) = consumer.upgrade() else { return Ok(HashMap::new()) };
        if standings.is_empty() {
            return Ok(HashMap::new());
        }
        let committed = committed(&settings.topic, &consumer, &standings)?;
        let threshold = Utc::now().timestamp_millis()
            - i64::try_from(settings.due_after.as_millis()).unwrap_or(i64::MAX / 2);
        let mut times = TopicPartitionList::new();
        for standing in &standings {
            times.add_partition_offset(&settings.topic, standing.partition, Offset::Offset(threshold))?;
        }
        let times = consumer.offsets_for_times(times, TIMEOUT)?;
        let mut offsets = HashMap::new();
        for standing in &standings {
            let number = standing.partition;
            let (low, end) = consumer.fetch_watermarks(&settings.topic, number, TIMEOUT)?;
            let due_end = match times.find_partition(&settings.topic, number).map(|found| found.offset()) {
                Some(Offset::Offset(offset)) => offset,
                _ => end,
            };
            let committed = committed.get(&number).copied().unwrap_or(low).max(low);
            let start = standing.position.first.unwrap_or(committed);
            let lowest = standing.position.lowest.unwrap_or(committed);
            offsets.insert(number, Offsets { start, lowest, due_end, end });
        }
        Ok(offsets)
    }
}

/// The committed offsets of the partitions of which nothing was received yet.
fn committed(
    topic: &str,
    consumer: &Arc<StreamConsumer<Context>>,
    standings: &[Standing],
) -> Result<HashMap<i32, i64>, KafkaError> {
    let mut unknown = TopicPartitionList::new();
    for standing in standings.iter().filter(|standing| standing.position.first.is_none()) {
        unknown.add_partition(topic, standing.partition);
    }
    if unknown.count() == 0 {
        return Ok(HashMap::new());
    }
    let committed = consumer.committed_offsets(unknown, TIMEOUT)?;
    let known = committed.elements().into_iter().filter_map(|element| match element.offset() {
        Offset::Offset(offset) => Some((element.partition(), offset)),
        _ => None,
    });
    Ok(known.collect())
}

fn count(
    labels: [&str; 2],
    standings: &[Standing],
    offsets: &HashMap<i32, Offsets>,
    counted: &mut HashMap<i32, Counted>,
) {
    let mut oldest = Duration::ZERO;
    counted.retain(|partition, _| offsets.contains_key(partition));
    for standing in standings {
        let Some(offsets) = offsets.get(&standing.partition) else { continue };
        let fresh = Counted { epoch: standing.epoch, up_to: offsets.start, awaited: None };
        let known = counted.entry(standing.partition).or_insert(fresh);
        if known.epoch != standing.epoch {
            *known = fresh;
        }
        let count = newly_due(known.up_to, *offsets);
        metrics::DUE.with_label_values(&labels).inc_by(count.due);
        metrics::LATE.with_label_values(&labels).inc_by(count.late);
        known.up_to = known.up_to.max(offsets.due_end);
        oldest = oldest.max(age_of_oldest(standing, *offsets, known));
    }
    metrics::OLDEST.with_label_values(&labels).set(oldest.as_secs_f64());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics::OBSERVED.with_label_values(&labels).set(now.as_secs_f64());
}

/// Of the records that have come due since the last count, those from the lowest unfinished one on are late.
fn newly_due(up_to: i64, offsets: Offsets) -> Count {
    let between = |from: i64, to: i64| u64::try_from(to - from).unwrap_or(0);
    Count { due: between(up_to, offsets.due_end), late: between(up_to.max(offsets.lowest), offsets.due_end) }
}

/// The age of the lowest unfinished record. The time of one that was not received yet is not known: it is as old as the wait
/// for it, at least.
fn age_of_oldest(standing: &Standing, offsets: Offsets, known: &mut Counted) -> Duration {
    if let Some(written) = standing.position.timestamp {
        known.awaited = None;
        let age_ms = Utc::now().timestamp_millis() - written;
        return Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
    }
    if offsets.lowest >= offsets.end {
        known.awaited = None;
        return Duration::ZERO;
    }
    // Under traffic there is nearly always one on its way, and each time another one.
    let same = known.awaited.filter(|(offset, _)| *offset == offsets.lowest);
    let (_, since) = *known.awaited.insert(same.unwrap_or_else(|| (offsets.lowest, Instant::now())));
    since.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::Position;

    #[test]
    fn what_is_due_and_unfinished_is_late_and_each_record_is_counted_once() {
        let at = |lowest, due_end| Offsets { start: 10, lowest, due_end, end: 100 };
        assert_eq!(newly_due(10, at(20, 20)), Count { due: 10, late: 0 });
        assert_eq!(newly_due(10, at(15, 20)), Count { due: 10, late: 5 });
        assert_eq!(newly_due(20, at(15, 30)), Count { due: 10, late: 10 });
        assert_eq!(newly_due(30, at(40, 30)), Count { due: 0, late: 0 });
        assert_eq!(newly_due(30, at(25, 28)), Count { due: 0, late: 0 });
    }

    #[test]
    fn records_that_are_on_their_way_one_after_the_other_do_not_add_up_to_an_age() {
        let position = Position { first: Some(10), lowest: Some(20), timestamp: None };
        let standing = Standing { partition: 0, epoch: 1, position };
        let begun = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        let mut known = Counted { epoch: 1, up_to: 20, awaited: Some((20, begun)) };
        let at = |lowest| Offsets { start: 10, lowest, due_end: 20, end: 30 };
        assert!(age_of_oldest(&standing, at(20), &mut known) >= Duration::from_mins(1), "the same one");
        assert!(age_of_oldest(&standing, at(21), &mut known) < Duration::from_secs(1), "the next one");
        assert!(age_of_oldest(&standing, at(30), &mut known).is_zero(), "none");
    }
}
