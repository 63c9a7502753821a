use super::*;

fn take_all(limit: &Arc<ConcurrencyLimit>, class: Class) -> Vec<Permit> {
    std::iter::from_fn(|| limit.take(class)).collect()
}

/// Answers requests of a full process, one after another, each replaced by the next.
fn answer_each(limit: &Arc<ConcurrencyLimit>, n_requests: u32) {
    let mut in_flight = take_all(limit, Class::Read);
    for _ in 0..n_requests {
        in_flight.pop().unwrap().answered();
        in_flight.extend(take_all(limit, Class::Read));
    }
}

/// Fails one request after another, each admitted after the decrease before it.
fn fail_until_low(limit: &Arc<ConcurrencyLimit>) {
    for _ in 0..10 {
        limit.take(Class::Read).unwrap().failed();
    }
}

/// Lets the last decrease be this long ago.
fn pass(limit: &ConcurrencyLimit, time: Duration) {
    limit.adapting.lock().unwrap().changed -= time;
}

#[test]
fn each_class_leaves_a_reserve_for_the_next() {
    let limit = ConcurrencyLimit::new(10);
    let writes = take_all(&limit, Class::Write);
    let public = take_all(&limit, Class::Public);
    let reads = take_all(&limit, Class::Read);
    assert_eq!((writes.len(), public.len(), reads.len()), (8, 1, 1));
}

#[test]
fn a_class_can_take_its_whole_share_when_it_comes_first() {
    let limit = ConcurrencyLimit::new(10);
    let reads = take_all(&limit, Class::Read);
    assert_eq!(reads.len(), 10);
    assert!(limit.take(Class::Write).is_none());
}

#[test]
fn a_dropped_permit_is_free_again() {
    let limit = ConcurrencyLimit::new(10);
    let mut writes = take_all(&limit, Class::Write);
    assert!(limit.take(Class::Write).is_none());
    writes.pop();
    assert!(limit.take(Class::Write).is_some());
}

#[test]
fn requests_that_were_admitted_together_decrease_the_limit_once() {
    let limit = ConcurrencyLimit::new(400);
    for permit in take_all(&limit, Class::Read) {
        permit.failed();
    }
    assert_eq!(limit.limit(Class::Read), 200);
}

#[test]
fn the_limit_falls_to_the_minimum_and_not_below() {
    let limit = ConcurrencyLimit::new(400);
    fail_until_low(&limit);
    assert_eq!(limit.limit(Class::Read), MIN_LIMIT);
    assert!(limit.take(Class::Write).is_some(), "some requests try whether the cause is gone");
}

#[test]
fn a_configured_limit_below_the_minimum_stays() {
    let limit = ConcurrencyLimit::new(10);
    fail_until_low(&limit);
    assert_eq!(limit.limit(Class::Read), 10);
}

#[test]
fn answers_of_a_full_process_raise_the_limit_to_its_maximum() {
    let limit = ConcurrencyLimit::new(40);
    fail_until_low(&limit);
    answer_each(&limit, MIN_LIMIT + 1);
    assert_eq!(
        limit.limit(Class::Read),
        MIN_LIMIT + 1,
        "one permit more for as many answers as there are permits"
    );
    answer_each(&limit, 1_000);
    assert_eq!(limit.limit(Class::Read), 40);
}

#[test]
fn answers_of_an_idle_process_double_the_limit_after_a_time_without_a_failure() {
    let limit = ConcurrencyLimit::new(100);
    fail_until_low(&limit);
    for expected in [32, 64, 100, 100] {
        for _ in 0..1_000 {
            limit.take(Class::Read).unwrap().answered();
        }
        assert!(limit.limit(Class::Read) < expected || expected == 100, "too early");
        pass(&limit, RECOVERY);
        limit.take(Class::Read).unwrap().answered();
        assert_eq!(limit.limit(Class::Read), expected);
    }
}

#[test]
fn a_request_without_an_outcome_does_not_change_the_limit() {
    let limit = ConcurrencyLimit::new(400);
    drop(limit.take(Class::Write));
    assert_eq!(limit.limit(Class::Read), 400);
}
