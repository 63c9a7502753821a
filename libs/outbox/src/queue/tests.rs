use chrono::DateTime;

use super::*;

fn head(seq: i64, bucket: i16, key: &str) -> Head {
    let key = Key { topic: "t".into(), key: key.into() };
    Head { seq, bucket, key, content_len: 1, inserted_at: DateTime::UNIX_EPOCH, row: None }
}

fn horizon(upper: i64, writers: &[&str]) -> Horizon {
    Horizon { upper, writers: writers.iter().map(|&writer| writer.to_owned()).collect() }
}

fn queue_of(buckets: &[i16]) -> Queue {
    let mut queue = Queue::default();
    for &bucket in buckets {
        queue.hold(Held { bucket, fence: 1, position: 10 });
    }
    queue
}

/// Reads these rows, which are all that a read of any range finds.
fn read(queue: &mut Queue, rows: &[Head]) -> bool {
    let ranges = queue.ranges(100);
    let is_in =
        |head: &&Head| ranges.iter().any(|range| range.bucket == head.bucket && head.seq > range.after);
    let heads: Vec<_> = rows.iter().filter(is_in).cloned().collect();
    queue.add(heads, &ranges)
}

fn seqs(queue: &Queue) -> Vec<i64> {
    queue.heads().map(|head| head.seq).collect()
}

fn position(queue: &Queue) -> i64 {
    queue.progress()[0].held.position
}

#[test]
fn a_row_that_commits_late_is_found_and_the_position_waits_for_it() {
    let mut queue = queue_of(&[0]);
    read(&mut queue, &[head(12, 0, "b")]);
    assert!(queue.observe(horizon(12, &["writer of 11"])));
    read(&mut queue, &[head(12, 0, "b")]);
    queue.published(&[12]);
    assert_eq!(position(&queue), 10, "11 may still come");

    assert!(queue.observe(horizon(12, &[])));
    read(&mut queue, &[head(11, 0, "a"), head(12, 0, "b")]);
    assert_eq!((seqs(&queue), position(&queue)), (vec![11], 10));
    queue.published(&[11]);
    assert_eq!((position(&queue), queue.unsettled()), (12, 0));
}

#[test]
fn other_writers_that_come_and_go_do_not_hold_up_the_position() {
    let mut queue = queue_of(&[0]);
    for round in 0..5 {
        let seq = 11 + round;
        read(&mut queue, &[head(seq, 0, "a")]);
        assert!(queue.observe(horizon(seq, &[&format!("writer {round}")])));
        read(&mut queue, &[head(seq, 0, "a")]);
        queue.published(&[seq]);
    }
    assert_eq!(position(&queue), 14, "one round behind");
}

#[test]
fn a_read_that_was_cut_settles_only_what_it_has_read() {
    let mut queue = queue_of(&[0, 1]);
    assert!(queue.observe(horizon(1_000, &[])));
    let ranges = queue.ranges(4);
    assert_eq!(ranges.iter().map(|range| range.limit).collect::<Vec<_>>(), [2, 2]);
    let has_more = queue.add(vec![head(20, 0, "a"), head(30, 0, "b"), head(25, 1, "c")], &ranges);
    assert!(has_more);
    queue.published(&[20, 30, 25]);
    let positions: Vec<_> = queue.progress().iter().map(|progress| progress.held.position).collect();
    assert_eq!(positions, [30, 1_000]);
}

#[test]
fn a_row_is_added_once_and_its_bucket_waits_for_it() {
    let mut queue = queue_of(&[0, 1]);
    let rows = [head(11, 0, "a"), head(12, 1, "b"), head(13, 0, "c")];
    for _ in 0..3 {
        read(&mut queue, &rows);
    }
    assert_eq!(seqs(&queue), [11, 12, 13]);
    assert!(queue.observe(horizon(13, &[])));
    read(&mut queue, &rows);
    queue.published(&[12, 13]);
    let positions: Vec<_> = queue.progress().iter().map(|progress| progress.held.position).collect();
    assert_eq!(positions, [10, 13]);
    assert!(queue.has_moved());
    queue.written(&queue.progress());
    assert!(!queue.has_moved());
}

#[test]
fn rows_behind_a_refused_one_are_parked_and_come_back_before_later_ones() {
    let mut queue = queue_of(&[0]);
    read(&mut queue, &[head(11, 0, "a"), head(12, 0, "b"), head(13, 0, "a")]);
    let (place, is_parked) = queue.refused(11).unwrap();
    assert_eq!((place.seq, is_parked), (11, false));
    assert_eq!(queue.take_followers().iter().map(|place| place.seq).collect::<Vec<_>>(), [13]);
    assert_eq!(seqs(&queue), [12]);

    let key = head(11, 0, "a").key;
    queue.set_parked(HashSet::from([key.clone()]), vec![head(11, 0, "a"), head(13, 0, "a")]);
    assert_eq!(seqs(&queue), [11, 13, 12]);
    assert!(queue.refused(11).unwrap().1, "refused again");
    assert_eq!(seqs(&queue), [12], "13 waits again");

    queue.set_parked(HashSet::from([key]), vec![head(11, 0, "a"), head(13, 0, "a")]);
    assert_eq!(queue.published(&[11, 12, 13]).len(), 2, "two have to leave outbox_parked");
}

#[test]
fn a_bucket_that_is_given_back_is_left_alone() {
    let mut queue = queue_of(&[0, 1]);
    read(&mut queue, &[head(11, 0, "a"), head(12, 1, "b")]);
    queue.set_surplus(1);
    assert_eq!(seqs(&queue), [11]);
    queue.release(1);
    assert_eq!((queue.n_buckets(), queue.len(), queue.leaving().len()), (1, 1, 0));
}

#[test]
fn a_sequence_that_went_back_is_noticed() {
    let mut queue = queue_of(&[0]);
    assert!(queue.observe(horizon(100, &[])));
    assert!(!queue.observe(horizon(50, &[])));
}

#[test]
fn rows_that_others_of_their_bucket_overtake_are_the_only_ones_that_count_as_unpublished() {
    let mut queue = queue_of(&[0]);
    assert!(queue.observe(horizon(14, &[])));
    read(&mut queue, &[head(11, 0, "stuck"), head(12, 0, "a"), head(13, 0, "b")]);
    queue.published(&[12, 13]);
    let progress = queue.progress()[0];
    assert_eq!((progress.held.position, progress.read_up_to, progress.n_unpublished), (10, 14, 1));
    assert_eq!(progress.newest, Some(DateTime::UNIX_EPOCH));
}
