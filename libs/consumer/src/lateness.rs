//! Counts due and late records, for an objective that includes records which are never handled.
//!
//! A record is due when it is older than `due_after`, and late if it is not finished then. Both are counted from offsets, so
//! records that wait in the topic count too. Counting starts at the committed offset of the assignment: the next member counts
//! the records that became due while no member ran, as late. A postponed event has left the topic, so its lateness is counted from the
//! table of postponed events.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use chrono::Utc;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
};

use crate::{
    assignment::{AssignedPosition, Assignment},
    client::{Context, Settings},
    metrics,
    postponed::Postponed,
};

/// How often records are counted: in a drill, the shortest window of an objective is five seconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// Time limit for each request to the broker.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The state of the count for an assigned partition.
#[derive(Clone, Copy, Debug)]
struct Counted {
    epoch: u64,
    /// All records below this offset are counted.
    up_to: i64,
    /// The lowest unfinished record, if it is not received yet, and the start of the wait for it.
    awaited: Option<(i64, Instant)>,
}

/// The offsets of one partition for a count.
#[derive(Clone, Copy, Debug)]
struct Offsets {
    /// The first record of the assignment.
    start: i64,
    /// The lowest unfinished record.
    lowest: i64,
    /// The first record that is not due yet.
    due_end: i64,
    /// The end of the partition.
    end: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    due: u64,
    late: u64,
}

/// Counts until dropped. While the broker or the database does not answer, `consumer_observed_timestamp_seconds` does not change.
pub(crate) async fn run_count(
    settings: &Settings,
    consumer: Weak<StreamConsumer<Context>>,
    assignment: &Assignment,
    postponed: &Postponed,
) -> Infallible {
    let labels = [settings.group.as_str(), settings.topic.as_str()];
    metrics::show_due(labels);
    let mut counted = HashMap::new();
    loop {
        let positions = assignment.positions(&settings.topic);
        let (settings, consumer, assigned) = (settings.clone(), Weak::clone(&consumer), positions.clone());
        match tokio::task::spawn_blocking(move || fetch(&settings, &consumer, &assigned)).await {
            Ok(Ok(offsets)) => {
                let oldest = count(labels, assignment, &positions, &offsets, &mut counted);
                match count_postponed(labels, postponed).await {
                    Ok(of_postponed) => observe(labels, oldest.as_secs_f64().max(of_postponed)),
                    Err(error) => tracing::warn!(%error, "cannot count the postponed events"),
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "cannot count the due records"),
            Err(error) => tracing::warn!(%error, "counting the due records panicked"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Fetches the offsets from the broker, on a thread that may block.
fn fetch(
    settings: &Settings,
    consumer: &Weak<StreamConsumer<Context>>,
    positions: &[AssignedPosition],
) -> Result<HashMap<i32, Offsets>, KafkaError> {
    let Some(consumer) = consumer.upgrade() else { return Ok(HashMap::new()) };
    if positions.is_empty() {
        return Ok(HashMap::new());
    }
    let committed = committed(&settings.topic, &consumer, positions)?;
    let threshold =
        Utc::now().timestamp_millis() - i64::try_from(settings.due_after.as_millis()).unwrap_or(i64::MAX / 2);
    // Ends first: a partition without a young record is due up to its end, and a record that is written after that is young.
    let mut watermarks = Vec::with_capacity(positions.len());
    let mut times = TopicPartitionList::new();
    for assigned in positions {
        watermarks.push(consumer.fetch_watermarks(&settings.topic, assigned.source.partition, TIMEOUT)?);
        times.add_partition_offset(&settings.topic, assigned.source.partition, Offset::Offset(threshold))?;
    }
    let times = consumer.offsets_for_times(times, TIMEOUT)?;
    let mut offsets = HashMap::new();
    for (assigned, (low, end)) in positions.iter().zip(watermarks) {
        let number = assigned.source.partition;
        let due_end = match times.find_partition(&settings.topic, number).map(|found| found.offset()) {
            Some(Offset::Offset(offset)) => offset,
            _ => end,
        };
        let committed = committed.get(&number).copied().unwrap_or(low).max(low);
        let start = assigned.position.first.unwrap_or(committed);
        let lowest = assigned.position.lowest.unwrap_or(committed);
        offsets.insert(number, Offsets { start, lowest, due_end, end });
    }
    Ok(offsets)
}

/// The committed offsets of the partitions without a received record.
fn committed(
    topic: &str,
    consumer: &Arc<StreamConsumer<Context>>,
    positions: &[AssignedPosition],
) -> Result<HashMap<i32, i64>, KafkaError> {
    let mut unknown = TopicPartitionList::new();
    for assigned in positions.iter().filter(|assigned| assigned.position.first.is_none()) {
        unknown.add_partition(topic, assigned.source.partition);
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
    assignment: &Assignment,
    positions: &[AssignedPosition],
    offsets: &HashMap<i32, Offsets>,
    counted: &mut HashMap<i32, Counted>,
) -> Duration {
    let mut oldest = Duration::ZERO;
    counted.retain(|partition, _| offsets.contains_key(partition));
    for assigned in positions {
        let Some(offsets) = offsets.get(&assigned.source.partition) else { continue };
        let fresh = Counted { epoch: assigned.epoch, up_to: offsets.start, awaited: None };
        let known = counted.entry(assigned.source.partition).or_insert(fresh);
        if known.epoch != assigned.epoch {
            *known = fresh;
        }
        let count = newly_due(known.up_to, *offsets);
        metrics::DUE.with_label_values(&labels).inc_by(count.due);
        metrics::LATE.with_label_values(&labels).inc_by(count.late);
        known.up_to = known.up_to.max(offsets.due_end);
        assignment.counted(&assigned.source, known.up_to);
        oldest = oldest.max(age_of_oldest(assigned, *offsets, known));
    }
    oldest
}

/// Counts the postponed events, which have left the topic, and returns the age of the oldest in seconds.
async fn count_postponed(labels: [&str; 2], postponed: &Postponed) -> Result<f64, pg::Error> {
    let [_, topic] = labels;
    let measured = postponed.measure(topic).await?;
    metrics::LATE.with_label_values(&labels).inc_by(measured.late.unsigned_abs());
    metrics::POSTPONED.with_label_values(&labels).set(measured.events);
    metrics::BLOCKED_KEYS.with_label_values(&labels).set(measured.keys);
    Ok(measured.oldest)
}

fn observe(labels: [&str; 2], oldest: f64) {
    metrics::OLDEST.with_label_values(&labels).set(oldest);
    metrics::OBSERVED.with_label_values(&labels).set(telemetry::metrics::now());
}

/// Of the records that became due since the last count, those from the lowest unfinished one on are late.
fn newly_due(up_to: i64, offsets: Offsets) -> Count {
    let between = |from: i64, to: i64| u64::try_from(to - from).unwrap_or(0);
    Count { due: between(up_to, offsets.due_end), late: between(up_to.max(offsets.lowest), offsets.due_end) }
}

/// The age of the lowest unfinished record. The time of a record that is not received yet is unknown; its age is at least the
/// wait for it.
fn age_of_oldest(assigned: &AssignedPosition, offsets: Offsets, known: &mut Counted) -> Duration {
    if let Some(written) = assigned.position.timestamp {
        known.awaited = None;
        let age_ms = Utc::now().timestamp_millis() - written;
        return Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
    }
    if offsets.lowest >= offsets.end {
        known.awaited = None;
        return Duration::ZERO;
    }
    // Under traffic one record is nearly always on its way, but each time another one.
    let same = known.awaited.filter(|(offset, _)| *offset == offsets.lowest);
    let (_, since) = *known.awaited.insert(same.unwrap_or_else(|| (offsets.lowest, Instant::now())));
    since.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{partition::Position, source::Source};

    #[test]
    fn a_due_unfinished_record_is_late_and_each_record_counts_once() {
        let at = |lowest, due_end| Offsets { start: 10, lowest, due_end, end: 100 };
        assert_eq!(newly_due(10, at(20, 20)), Count { due: 10, late: 0 });
        assert_eq!(newly_due(10, at(15, 20)), Count { due: 10, late: 5 });
        assert_eq!(newly_due(20, at(15, 30)), Count { due: 10, late: 10 });
        assert_eq!(newly_due(30, at(40, 30)), Count { due: 0, late: 0 });
        assert_eq!(newly_due(30, at(25, 28)), Count { due: 0, late: 0 });
    }

    #[test]
    fn successive_records_on_their_way_do_not_add_up_to_an_age() {
        let position = Position { first: Some(10), lowest: Some(20), timestamp: None };
        let assigned = AssignedPosition { source: Source::new("records", 0), epoch: 1, position };
        let begun = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        let mut known = Counted { epoch: 1, up_to: 20, awaited: Some((20, begun)) };
        let at = |lowest| Offsets { start: 10, lowest, due_end: 20, end: 30 };
        assert!(age_of_oldest(&assigned, at(20), &mut known) >= Duration::from_mins(1), "the same one");
        assert!(age_of_oldest(&assigned, at(21), &mut known) < Duration::from_secs(1), "the next one");
        assert!(age_of_oldest(&assigned, at(30), &mut known).is_zero(), "none");
    }
}
