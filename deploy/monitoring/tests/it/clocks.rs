//! The alert on a clock that differs from that of Prometheus.

use crate::{
    cause_alerts::{case, fires, labels, minutes, series, silent},
    pace::Pace,
    promtool::{Firing, values},
};

const CLOCK: &str = r#"clock_timestamp_seconds{job="url-shortener",instance="a"}"#;

const OTHER: &str = r#"clock_timestamp_seconds{job="url-shortener",instance="b"}"#;

/// Readings of a clock at each step, with its difference from Prometheus'.
fn clock(pace: Pace, ahead: impl IntoIterator<Item = f64>) -> impl Iterator<Item = f64> {
    (0_u32..).zip(ahead).map(move |(step, ahead)| minutes(pace, f64::from(step)) + ahead)
}

#[test]
fn a_clock_that_is_wrong_for_five_minutes_opens_a_ticket() {
    for pace in Pace::BOTH {
        for (sign, difference) in [(1.0, 150.0), (-1.0, 150.0)] {
            let firing = Firing {
                labels: labels("url-shortener", "ticket", []),
                summary: "A clock of url-shortener is wrong by 2m 30s".to_owned(),
                description: "Impact: from 30 s on, tokens are refused as expired or not yet valid; times in logs and events \
                              are wrong.\nBudget left: mail-freshness loses each mail whose token url-shortener refuses."
                    .to_owned(),
            };
            let wrong = (0..20).map(|step| if (3..12).contains(&step) { sign * difference } else { 0.0 });
            let right = vec![0.5; 20];
            let clocks = series([(CLOCK, values(clock(pace, wrong))), (OTHER, values(clock(pace, right)))]);
            case("ClockSkewed", pace, clocks, fires("ClockSkewed", 8, &firing, 15));
        }
    }
}

/// A scrape may last ten seconds, and the clock is read at any time of it.
#[test]
fn a_slow_scrape_or_a_leap_opens_no_ticket() {
    for pace in Pace::BOTH {
        let slow = (0..20).map(|step| if step % 2 == 0 { 9.9 } else { 0.1 });
        case(
            "ClockSkewed-slow",
            pace,
            series([(CLOCK, values(clock(pace, slow)))]),
            silent("ClockSkewed", 20),
        );
        let leap = (0..20).map(|step| if step == 5 { 600.0 } else { 0.0 });
        case(
            "ClockSkewed-leap",
            pace,
            series([(CLOCK, values(clock(pace, leap)))]),
            silent("ClockSkewed", 20),
        );
    }
}
