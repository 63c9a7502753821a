use super::*;

const BOUNDS: Bounds = Bounds {
    orders_max_unpublished_events: 1_000,
    orders_max_unpublished_age_s: 100,
    orders_max_retry_after_s: 60,
};

fn backlog(unpublished: u64, age: u64, published_per_second: f64) -> Backlog {
    Backlog { unpublished, front_age: Duration::from_secs(age), published_per_second }
}

#[test]
fn orders_are_blocked_at_a_bound_and_accepted_again_below_80_percent_of_both() {
    let pressure = BackPressure::new(BOUNDS);
    for (unpublished, age, is_accepted) in [
        (999, 99, true),
        (1_000, 0, false),
        (801, 0, false),
        (799, 0, true),
        (999, 0, true),
        (1, 100, false),
        (1, 81, false),
        (1, 79, true),
    ] {
        pressure.observe(Some(backlog(unpublished, age, 10.0)));
        assert_eq!(pressure.admit().is_ok(), is_accepted, "{unpublished} events, {age} s");
    }
}

#[test]
fn events_that_can_wait_leave_half_of_both_bounds_to_orders() {
    for (unpublished, age, has_room) in [(499, 49, true), (500, 0, false), (10, 50, false)] {
        assert_eq!(BOUNDS.has_room(&backlog(unpublished, age, 10.0)), has_room, "{unpublished}, {age} s");
    }
}

#[test]
fn a_measurement_that_is_too_old_blocks_nothing() {
    let pressure = BackPressure::new(BOUNDS);
    pressure.observe(Some(backlog(2_000, 0, 10.0)));
    pressure.observe(None);
    assert!(pressure.admit().is_ok());
}

#[tokio::test]
async fn without_new_measurements_orders_are_accepted_after_a_while() {
    let stale = Duration::from_millis(200);
    let pressure = BackPressure { bounds: BOUNDS, stale, blocked: Mutex::default() };
    let (sender, receiver) = watch::channel(None);
    sender.send_replace(Some(backlog(2_000, 0, 0.0)));
    let stop = CancellationToken::new();
    let course = async {
        let wait = async |is_accepted| {
            while pressure.admit().is_ok() != is_accepted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        wait(false).await;
        wait(true).await;
        stop.cancel();
    };
    let both = async { tokio::join!(pressure.run(receiver, stop.clone()), course) };
    tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
}

#[test]
fn retry_after_is_the_time_to_publish_what_is_above_the_lower_bound() {
    let full = backlog(1_300, 0, 50.0);
    assert!((BOUNDS.seconds_to_reopen(&full) - 10.0).abs() < 0.01);
    // A backlog of 200 s: 60 % of it, 600 events, are younger than 80 s when they are published.
    let old = backlog(1_000, 200, 50.0);
    assert!((BOUNDS.seconds_to_reopen(&old) - 12.0).abs() < 0.01);
}

#[test]
fn retry_after_is_spread_and_bounded_and_near_the_maximum_while_nothing_is_published() {
    let pressure = BackPressure::new(BOUNDS);
    let seconds = |seconds, spread| pressure.retry_after(seconds, spread).as_secs_f64();
    assert!((seconds(10.0, 0.0) - 10.0).abs() < 0.01);
    assert!((seconds(10.0, 0.2) - 12.0).abs() < 0.01);
    assert!((seconds(0.01, 0.0) - 1.0).abs() < 0.01);
    let stands = BOUNDS.seconds_to_reopen(&backlog(2_000, 0, 0.0));
    assert!((seconds(stands, 0.0) - 60.0).abs() < 0.01);
    assert!((seconds(stands, 0.25) - 45.0).abs() < 0.01);
}
