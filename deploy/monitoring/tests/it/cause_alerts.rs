//! For alerts on causes, with the helpers of the files beside this one: silent one step before, firing at, silent after recovery.

use crate::{
    consumers::{HANDLED, LAG, RETRIED},
    pace::Pace,
    promtool::{Case, Check, Firing, Sample, constant, values},
};

pub(crate) type Series = Vec<(String, Vec<Sample>)>;

pub(crate) fn case(name: &'static str, pace: Pace, series: Series, checks: Vec<Check>) {
    Case {
        name: name.to_owned(),
        pace,
        rules: "causes",
        step: 1,
        series,
        checks,
        fires: Vec::new(),
        values: Vec::new(),
    }
    .run();
}

pub(crate) fn series<const N: usize>(series: [(&str, Vec<Sample>); N]) -> Series {
    series.map(|(name, samples)| (name.to_owned(), samples)).to_vec()
}

/// Silent before a step, firing at it, silent at a later one.
pub(crate) fn fires(alert: &'static str, at: usize, firing: &Firing, recovered: usize) -> Vec<Check> {
    let check = |step, firing| Check { step, alert, firing };
    vec![check(at - 1, vec![]), check(at, vec![firing.clone()]), check(recovered, vec![])]
}

pub(crate) fn silent(alert: &'static str, steps: usize) -> Vec<Check> {
    (0..steps).map(|step| Check { step, alert, firing: vec![] }).collect()
}

pub(crate) fn labels<const N: usize>(
    job: &str,
    severity: &str,
    more: [(&'static str, &str); N],
) -> Vec<(&'static str, String)> {
    [("job", job), ("service", job), ("severity", severity)]
        .into_iter()
        .chain(more)
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

/// A number of seconds for each step: minutes of production, seconds of a drill.
#[expect(clippy::cast_precision_loss, reason = "small")]
pub(crate) fn minutes(pace: Pace, minutes: f64) -> f64 {
    minutes * pace.minute() as f64
}

const UP: [&str; 4] = [
    r#"up{job="orders",instance="a"}"#,
    r#"up{job="orders",instance="b"}"#,
    r#"up{job="url-shortener",instance="a"}"#,
    r#"up{job="email-consumer",instance="a"}"#,
];

fn down(job: &str) -> Firing {
    Firing {
        labels: labels(job, "page", []),
        summary: format!("No instance of {job} answers"),
        description: format!(
            "Impact: {job} is down for all users, or Prometheus cannot reach it; its objectives are not measured.\n\
             Budget left: unknown until it answers again."
        ),
    }
}

#[test]
fn target_down_waits_for_the_last_instance_and_a_minute() {
    for pace in Pace::BOTH {
        let first = values([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let second = values([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        let others = constant(1.0, 10);
        let ups = series([(UP[0], first), (UP[1], second), (UP[2], others.clone()), (UP[3], others)]);
        case("TargetDown", pace, ups, fires("TargetDown", 6, &down("orders"), 8));
    }
}

#[test]
fn target_down_fires_for_a_service_without_targets() {
    for (lost, job) in [(2, "url-shortener"), (3, "email-consumer")] {
        for pace in Pace::BOTH {
            let mut ups = UP.map(|up| (up, constant(1.0, 10)));
            ups[lost].1[5..8].fill(Sample::Stale);
            case("TargetDown-absent", pace, series(ups), fires("TargetDown", 6, &down(job), 8));
        }
    }
}

const WAITING: &str = r#"outbox_oldest_unpublished_seconds{job="orders",instance="a"}"#;
const PUBLISHED: &str = r#"outbox_published_total{job="orders",instance="a"}"#;

/// Minutes that the oldest event has waited for.
const AGES: [f64; 9] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0];

#[test]
fn outbox_stuck_is_an_event_older_than_five_minutes() {
    for pace in Pace::BOTH {
        let ages = values(AGES.map(|age| minutes(pace, age)));
        let firing = Firing {
            labels: labels("orders", "ticket", []),
            summary: "Some events of orders are not published".to_owned(),
            description: format!(
                "Impact: customers get no mail for some orders; the oldest event has waited for {}.\n\
                 Budget left: mail-freshness loses every order that waits longer than 60 s, as soon as its event is in Kafka.",
                pace.either("6m 0s", "6s")
            ),
        };
        let published = values((0..9).map(f64::from));
        let series = series([(WAITING, ages), (PUBLISHED, published)]);
        case("OutboxStuck", pace, series, fires("OutboxStuck", 6, &firing, 8));
    }
}

#[test]
fn an_outbox_that_publishes_nothing_pages() {
    for pace in Pace::BOTH {
        let ages = values(AGES.map(|age| minutes(pace, age)));
        let course = vec![(6, "OutboxStuck", "page"), (7, "OutboxStuck", "page")];
        let silent = |step| Check { step, alert: "OutboxStuck", firing: vec![] };
        Case {
            name: "OutboxStuck-page".to_owned(),
            pace,
            rules: "causes",
            step: 1,
            series: series([(WAITING, ages), (PUBLISHED, constant(7.0, 9))]),
            checks: vec![silent(5), silent(8)],
            fires: course,
            values: Vec::new(),
        }
        .run();
    }
}

#[test]
fn one_parked_event_opens_a_ticket_until_it_is_requeued() {
    for pace in Pace::BOTH {
        let firing = Firing {
            labels: labels("orders", "ticket", []),
            summary: "The broker refuses 2 events of orders".to_owned(),
            description: "Impact: 2 events and later ones of the same orders are not published; their customers get no \
                          mail.\nBudget left: mail-freshness loses each as soon as it is in Kafka, and knows nothing of it \
                          before."
                .to_owned(),
        };
        // Every replica counts all of them.
        let parked = |instance| format!(r#"outbox_parked_rows{{job="orders",instance="{instance}"}}"#);
        let (first, second) = (parked("a"), parked("b"));
        let counts = values([0.0, 0.0, 2.0, 2.0, 0.0]);
        let series = series([(first.as_str(), counts.clone()), (second.as_str(), counts)]);
        case("OutboxRowsParked", pace, series, fires("OutboxRowsParked", 2, &firing, 4));
    }
}

#[test]
fn more_than_five_percent_of_parked_events_page() {
    const PARKED: &str = r#"outbox_parked_total{job="orders",instance="a"}"#;
    // Parked and published in each minute: one in fifty, then half of them, then none.
    let parked = values([0.0, 1.0, 2.0, 3.0, 4.0, 14.0, 24.0, 24.0, 24.0]);
    let published = values((0..9).map(|minute| f64::from(50 * minute)));
    for pace in Pace::BOTH {
        Case {
            name: "OutboxRowsParked-page".to_owned(),
            pace,
            rules: "causes",
            step: 1,
            series: series([(PARKED, parked.clone()), (PUBLISHED, published.clone())]),
            checks: vec![Check { step: 4, alert: "OutboxRowsParked", firing: vec![] }],
            fires: vec![(5, "OutboxRowsParked", "page"), (8, "OutboxRowsParked", "page")],
            values: Vec::new(),
        }
        .run();
    }
}

/// An alert on the age of the oldest of something: silent at fifteen minutes, firing at sixteen, silent when it is done.
fn fires_after_fifteen_minutes(alert: &'static str, series_name: &str, firing: impl Fn(&str) -> Firing) {
    for pace in Pace::BOTH {
        let mut ages: Vec<f64> = (0..17).map(|age| minutes(pace, f64::from(age))).collect();
        ages.push(0.0);
        let firing = firing(pace.either("16m 0s", "16s"));
        case(alert, pace, series([(series_name, values(ages))]), fires(alert, 16, &firing, 17));
    }
}

#[test]
fn one_unhandled_event_opens_a_ticket() {
    let oldest = r#"consumer_oldest_unhandled_seconds{job="email-consumer",group="email-consumer",topic="orders.events"}"#;
    fires_after_fifteen_minutes("ConsumerStuck", oldest, |age| Firing {
        labels: labels("email-consumer", "ticket", [("topic", "orders.events")]),
        summary: "email-consumer does not handle an event of orders.events".to_owned(),
        description: format!(
            "Impact: the oldest event has waited for {age}; its customer has no mail, nor have those of later events.\n\
             Budget left: mail-freshness loses every event that waits longer than 60 s; one alone does not page."
        ),
    });
}

#[test]
fn one_unfinished_order_opens_a_ticket() {
    let oldest = r#"orders_oldest_unfinished_seconds{job="orders",instance="a"}"#;
    fires_after_fifteen_minutes("OrdersStuck", oldest, |age| Firing {
        labels: labels("orders", "ticket", []),
        summary: "An order is neither confirmed nor rejected".to_owned(),
        description: format!(
            "Impact: the oldest order has waited for {age}; its customer has no answer and no mail.\n\
             Budget left: final loses every order that waits longer than 10 s; one alone does not page."
        ),
    });
}

const OVERDUE: &str = r#"orders_overdue{job="orders",instance="a"}"#;

/// A step at which the page fires, the last one at which it does, and one at which it is over.
fn pages_until(alert: &'static str, pace: Pace, series: Series, steps: [usize; 3]) {
    let [from, to, over] = steps;
    let fires = (from..=to).map(|step| (step, alert, "page")).collect();
    let checks = [from - 1, over].map(|step| Check { step, alert, firing: vec![] }).into();
    Case {
        name: format!("{alert}-page"),
        pace,
        rules: "causes",
        step: 1,
        series,
        checks,
        fires,
        values: Vec::new(),
    }
    .run();
}

/// No order is placed any more: nothing becomes late, and the objective is content.
#[test]
fn waiting_orders_page_until_they_are_final() {
    for pace in Pace::BOTH {
        let overdue = (0..40).map(|step| if (1..30).contains(&step) { 942.0 } else { 0.0 });
        let series = series([(OVERDUE, values(overdue))]);
        pages_until("OrdersStuck", pace, series, [11, 29, 30]);
    }
}

#[test]
fn nine_waiting_orders_do_not_page() {
    for pace in Pace::BOTH {
        let series = series([
            (
                r#"orders_oldest_unfinished_seconds{job="orders",instance="a"}"#,
                constant(minutes(pace, 14.0), 20),
            ),
            (OVERDUE, constant(9.0, 20)),
        ]);
        case("OrdersStuck-nine", pace, series, silent("OrdersStuck", 20));
    }
}

/// No event comes any more, and none is handled. In a drill the ticket is there before.
#[test]
fn waiting_events_page_until_one_is_handled() {
    let oldest = r#"consumer_oldest_unhandled_seconds{job="email-consumer",group="email-consumer",topic="orders.events"}"#;
    let pace = Pace::Production;
    let while_it_waits = |value, otherwise| {
        values((0..40).map(move |step| if (1..30).contains(&step) { value } else { otherwise }))
    };
    let handled = values((0..40).map(|step| if step < 30 { 5.0 } else { 947.0 }));
    let tried = values((0..40).map(f64::from));
    let waiting = [
        (oldest, while_it_waits(61.0, 0.0)),
        (LAG, while_it_waits(942.0, 0.0)),
        (HANDLED, handled),
        (RETRIED, tried.clone()),
    ];
    pages_until("ConsumerStuck", pace, series(waiting), [11, 29, 30]);
    let busy = [(oldest, constant(840.0, 40)), (LAG, constant(942.0, 40)), (HANDLED, tried)];
    case("ConsumerStuck-busy", pace, series(busy), silent("ConsumerStuck", 40));
}

/// A number that Go prints with an exponent by itself.
#[test]
fn large_numbers_have_no_exponent() {
    for pace in Pace::BOTH {
        let waiting = "2000003";
        let firing = Firing {
            labels: labels("email-consumer", "ticket", [("topic", "orders.events.email-consumer.dlq")]),
            summary: format!("email-consumer gave up on {waiting} events"),
            description: format!(
                "Impact: {waiting} letters in orders.events.email-consumer.dlq are open; customers wait for the mails, and \
                 no retry sends them.\nBudget left: mail-freshness has counted each of them as late."
            ),
        };
        let letters =
            r#"consumer_dead_letters{job="email-consumer",topic="orders.events.email-consumer.dlq"}"#;
        let series = series([(letters, values([0.0, 0.0, 2_000_003.0, 2_000_003.0, 0.0]))]);
        case("DeadLetters-many", pace, series, fires("DeadLettersPresent", 2, &firing, 4));
    }
}

#[test]
fn an_unmeasured_journey_pages_after_eleven_minutes() {
    const COUNTED: [(&str, &str); 3] = [
        ("orders", r#"orders_journey_observed_timestamp_seconds{job="orders",instance="a"}"#),
        ("orders", r#"outbox_observed_timestamp_seconds{job="orders",instance="a"}"#),
        (
            "email-consumer",
            r#"consumer_observed_timestamp_seconds{job="email-consumer",group="email-consumer",topic="orders.events"}"#,
        ),
    ];
    for (job, observed) in COUNTED {
        for pace in Pace::BOTH {
            // The clock of a test begins at zero. Ten minutes later it is not late yet; it has to be so for one minute more.
            let mut times = vec![0.0; 15];
            times[14] = minutes(pace, 14.0);
            let firing = Firing {
                labels: labels(job, "page", []),
                summary: format!("Late or waiting work of {job} is not counted"),
                description: format!(
                    "Impact: the objective or alert that uses the count cannot page; last counted {} ago.\n\
                     Budget left: unknown.",
                    pace.either("12m 0s", "12s")
                ),
            };
            let series = series([(observed, values(times))]);
            case("JourneyUnmeasured", pace, series, fires("JourneyUnmeasured", 12, &firing, 14));
        }
    }
}

#[test]
fn the_watchdog_always_fires() {
    for pace in Pace::BOTH {
        let firing = Firing {
            labels: vec![("severity", "none".to_owned())],
            summary: "Alerts reach the pager".to_owned(),
            description: "Impact: none while it fires; without it, no alert arrives.\nBudget left: not \
                          affected."
                .to_owned(),
        };
        let checks = [0, 1, 9].map(|step| Check { step, alert: "Watchdog", firing: vec![firing.clone()] });
        case("Watchdog", pace, series([(UP[0], constant(0.0, 10))]), checks.into());
    }
}
