//! When a backlog will be over, and the alert on orders that are refused because of one.

use crate::{
    cause_alerts::{Series, case, fires, labels, series},
    consumers::LAG,
    pace::Pace,
    promtool::{Case, Firing, constant, values},
};

const UNPUBLISHED: &str = r#"outbox_unpublished_rows{job="orders",instance="a"}"#;
const OTHER_REPLICA: &str = r#"outbox_unpublished_rows{job="orders",instance="b"}"#;
const BLOCKED: &str = r#"orders_blocked{job="orders",instance="a"}"#;
const OTHER_BLOCKED: &str = r#"orders_blocked{job="orders",instance="b"}"#;

/// A backlog of 1,000 that stands still for ten minutes, shrinks by 100 a minute to nothing, and stays there.
fn course() -> Vec<f64> {
    (0..30).map(|step: u32| f64::from(1_000 - 100 * step.saturating_sub(10).min(10))).collect()
}

fn drains(name: &str, pace: Pace, series: Series, metric: [&'static str; 3]) {
    let [value, is_infinite, is_unknown] = metric;
    // Minutes of production are seconds of a drill.
    let four = 4.0 * f64::from(u32::try_from(pace.minute()).unwrap());
    let values = vec![
        // At step 16, 400 events remain, and 500 of five minutes ago are done: four minutes.
        (16, value, four),
        (8, is_infinite, 1.0),
        (25, value, 0.0),
        // Five minutes ago there was nothing to compare with.
        (3, is_unknown, 1.0),
    ];
    Case {
        name: name.to_owned(),
        pace,
        rules: "causes",
        step: 1,
        series,
        checks: vec![],
        fires: vec![],
        values,
    }
    .run();
}

#[test]
fn the_time_to_drain_of_a_lag_is_infinite_until_it_shrinks_and_zero_without_one() {
    for pace in Pace::BOTH {
        let metric = [
            "sum(consumer:time_to_drain_seconds)",
            "count(consumer:time_to_drain_seconds == Inf)",
            "count(absent(consumer:time_to_drain_seconds))",
        ];
        drains("drain-consumer", pace, series([(LAG, values(course()))]), metric);
    }
}

#[test]
fn the_time_to_drain_of_the_outbox_is_that_of_the_database_and_not_of_each_replica() {
    for pace in Pace::BOTH {
        let metric = [
            "sum(outbox:time_to_drain_seconds)",
            "count(outbox:time_to_drain_seconds == Inf)",
            "count(absent(outbox:time_to_drain_seconds))",
        ];
        let both = series([(UNPUBLISHED, values(course())), (OTHER_REPLICA, values(course()))]);
        drains("drain-outbox", pace, both, metric);
    }
}

#[test]
fn orders_that_are_refused_by_any_replica_open_a_ticket() {
    for pace in Pace::BOTH {
        let firing = Firing {
            labels: labels("orders", "ticket", []),
            summary: "orders accepts no new orders".to_owned(),
            description: "Impact: every new order gets 503 backlog_full, because too many events are not published, or for too long; \
                          reads are answered.\nBudget left: availability of orders loses every refused order, and pages."
                .to_owned(),
        };
        let blocked = values((0..12).map(|step| f64::from(u8::from((4..8).contains(&step)))));
        let both = series([(BLOCKED, blocked), (OTHER_BLOCKED, constant(0.0, 12))]);
        // A gauge of the last three minutes: the ticket closes with the last value, not with the first gap.
        case("OrdersBlocked", pace, both, fires("OrdersBlocked", 4, &firing, 8));
    }
}
