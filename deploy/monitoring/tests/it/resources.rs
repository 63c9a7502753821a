//! Alerts on what a process uses up: connections, keys, memory, descriptors.

use crate::{
    cause_alerts::{case, fires, labels, minutes, series, silent},
    pace::Pace,
    promtool::{Firing, constant, values},
};

#[test]
fn a_pool_is_saturated_when_callers_wait_for_five_minutes() {
    for pace in Pace::BOTH {
        let waiting = [0.0, 9.0, 9.0, 9.0, 0.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.0];
        let firing = Firing {
            labels: labels("orders", "ticket", []),
            summary: "Callers in orders queue for a database connection".to_owned(),
            description:
                "Impact: requests wait for a connection; after the timeout they get 503.\nBudget left: \
                          availability and latency of orders burn and page as soon as users are affected."
                    .to_owned(),
        };
        let series = series([
            (r#"pg_pool_connections{job="orders",instance="a",state="waiting"}"#, values(waiting)),
            (r#"pg_pool_connections{job="orders",instance="b",state="waiting"}"#, constant(0.0, 13)),
            (r#"pg_pool_connections{job="orders",instance="a",state="open"}"#, constant(16.0, 13)),
        ]);
        case("PoolSaturated", pace, series, fires("PoolSaturated", 10, &firing, 12));
    }
}

#[test]
fn a_signing_key_opens_a_ticket_fourteen_days_before_it_expires() {
    const DAYS: f64 = 86_400.0;
    for pace in Pace::BOTH {
        let mut ends = vec![14.0 * DAYS + minutes(pace, 10.0); 13];
        ends.push(365.0 * DAYS);
        let firing = Firing {
            labels: labels("orders", "ticket", [("kid", "issuer-2026")]),
            summary: "orders soon refuses tokens of key issuer-2026".to_owned(),
            description: format!(
                "Impact: in {} every request with a token of this key gets 401.\nBudget left: not \
                 affected, because a 401 is not a failure of the service.",
                pace.either("13d 23h 59m 0s", "13d 23h 59m 59s")
            ),
        };
        let key = r#"auth_key_expiry_timestamp_seconds{job="orders",instance="a",kid="issuer-2026"}"#;
        case(
            "SigningKeyNearExpiry",
            pace,
            series([(key, values(ends))]),
            fires("SigningKeyNearExpiry", 11, &firing, 13),
        );
    }
}

pub(crate) const MIB: f64 = 1024.0 * 1024.0;

pub(crate) const STARTED: &str = r#"process_start_time_seconds{job="orders",instance="a"}"#;

const MEMORY: &str = r#"process_resident_memory_bytes{job="orders",instance="a"}"#;

/// It fires when the process is older than 70 minutes, and ends with a release.
#[test]
fn memory_above_that_of_an_hour_ago_opens_a_ticket() {
    for pace in Pace::BOTH {
        let mib = (0..85).map(|step| if (40..80).contains(&step) { 112.0 } else { 32.0 });
        let firing = Firing {
            labels: labels("orders", "ticket", []),
            summary: "The memory of orders grows".to_owned(),
            description: "Impact: none yet; it grew by 80MiB in an hour. At its limit the kernel ends the process, and \
                          requests fail.\nBudget left: the objectives of orders burn each time that happens."
                .to_owned(),
        };
        let series = series([(MEMORY, values(mib.map(|mib| mib * MIB))), (STARTED, constant(0.0, 85))]);
        case("MemoryGrows", pace, series, fires("MemoryGrows", 71, &firing, 80));
    }
}

#[test]
fn memory_of_a_young_process_or_below_a_level_opens_no_ticket() {
    for pace in Pace::BOTH {
        let caches = values((0..130).map(|step| (32.0 + 4.0 * f64::from(step.min(60))) * MIB));
        let started = constant(minutes(pace, 30.0), 130);
        case(
            "MemoryGrows-young",
            pace,
            series([(MEMORY, caches), (STARTED, started)]),
            silent("MemoryGrows", 130),
        );
        let waves = values((0..90).map(|step| if step % 10 < 5 { 32.0 } else { 200.0 } * MIB));
        let old = constant(0.0, 90);
        case("MemoryGrows-waves", pace, series([(MEMORY, waves), (STARTED, old)]), silent("MemoryGrows", 90));
    }
}

#[test]
fn four_fifths_of_the_descriptors_open_a_ticket() {
    for pace in Pace::BOTH {
        let firing = Firing {
            labels: labels("orders", "ticket", []),
            summary: "orders uses 87.89% of its file descriptors".to_owned(),
            description: "Impact: none yet; at the limit orders accepts no connection and opens none.\nBudget left: the \
                          objectives of orders burn from then on, or are not measured."
                .to_owned(),
        };
        let open = |instance| format!(r#"process_open_fds{{job="orders",instance="{instance}"}}"#);
        let limit = |instance| format!(r#"process_max_fds{{job="orders",instance="{instance}"}}"#);
        let names = [open("a"), limit("a"), open("b"), limit("b")];
        let series = series([
            (names[0].as_str(), values([20.0, 400.0, 800.0, 900.0, 900.0, 20.0])),
            (names[1].as_str(), constant(1024.0, 6)),
            (names[2].as_str(), constant(30.0, 6)),
            (names[3].as_str(), constant(1024.0, 6)),
        ]);
        case("DescriptorsNearLimit", pace, series, fires("DescriptorsNearLimit", 3, &firing, 5));
    }
}
