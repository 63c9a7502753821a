//! For every objective, both windows of both severities: silent one step before, firing at, silent after recovery.
//!
//! What is expected is worked out here from the numbers of the SRE workbook and from how much was sent and how much of it was
//! bad, and not from anything the generator says. Windows include both their ends in Prometheus 2, and leave out
//! the sample at their beginning in Prometheus 3.

use crate::{
    objectives::{Bad, DEAD_LETTERS, OBJECTIVES, Objective},
    pace::Pace,
    promtool::{Case, Check, Firing, Sample, constant, left_out, values},
};

/// Events per step.
const RATE: f64 = 100_000.0;

/// Steps' worth of good events that come first, in one step, so that longer windows than the one under test stay calm.
const HISTORY: f64 = 4_320.0;

/// A pair of windows, in minutes, and how fast the budget has to burn in both.
struct Branch {
    name: &'static str,
    severity: &'static str,
    factor: f64,
    long: u32,
    short: u32,
    /// Minutes between two samples.
    step: u32,
    /// How fast it burns in the test: too slowly for the branches above, and never just as fast as allowed.
    burn: f64,
    /// Good events before: so many that no branch below fires too.
    history: f64,
}

const BRANCHES: [Branch; 4] = [
    Branch {
        name: "1h",
        severity: "page",
        factor: 14.4,
        long: 60,
        short: 5,
        step: 1,
        burn: 30.0,
        history: HISTORY,
    },
    Branch {
        name: "6h",
        severity: "page",
        factor: 6.0,
        long: 360,
        short: 30,
        step: 5,
        burn: 7.0,
        history: HISTORY,
    },
    Branch {
        name: "1d",
        severity: "ticket",
        factor: 3.0,
        long: 1_440,
        short: 120,
        step: 30,
        burn: 5.0,
        history: HISTORY,
    },
    Branch {
        name: "3d",
        severity: "ticket",
        factor: 1.0,
        long: 4_320,
        short: 360,
        step: 30,
        burn: 2.5,
        history: 0.0,
    },
];

/// The course of a test, in steps.
struct Course {
    /// The last good step.
    quiet: u32,
    /// The first step at which the alert fires.
    fires: u32,
    /// The last bad step.
    last_bad: u32,
    /// A step at which it is over.
    recovered: u32,
}

impl Branch {
    /// How many steps of a window count.
    fn intervals(&self, window: u32, bad: &Bad) -> u32 {
        // A counter that begins at zero within the window is not extrapolated over its beginning, others are.
        let left_out = if matches!(bad, Bad::Outside(_)) { left_out() } else { 0 };
        window / self.step - left_out
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
    fn course(&self, bad: &Bad) -> Course {
        let (long, short) = (self.intervals(self.long, bad), self.intervals(self.short, bad));
        let quiet = self.long / self.step + 1;
        // The share in the window is steps / window * burn * budget.
        let bad_steps = (self.factor * f64::from(long) / self.burn).floor() as u32 + 1;
        let fires = quiet + bad_steps;
        let last_bad = fires + 1;
        let calm_steps = (f64::from(short) * (1.0 - self.factor / self.burn)).ceil() as u32 + 1;
        Course { quiet, fires, last_bad, recovered: last_bad + calm_steps }
    }
}

impl Objective {
    /// Series in which the budget burns as the branch says.
    fn series(&self, branch: &Branch, course: &Course, rate: f64) -> Vec<(String, Vec<Sample>)> {
        let (mut all, mut bad) = (0.0, 0.0);
        let (mut totals, mut bad_totals) = (vec![0.0], vec![0.0]);
        for step in 1..=course.recovered {
            all += if step == 1 { branch.history * rate } else { rate };
            if (course.quiet + 1..=course.last_bad).contains(&step) {
                bad += rate * branch.burn * self.budget;
            }
            totals.push(all);
            bad_totals.push(bad);
        }
        let good: Vec<f64> = totals.iter().zip(&bad_totals).map(|(all, bad)| all - bad).collect();
        let steps = totals.len();
        let noise = values((0..steps).map(|step| f64::from(u32::try_from(step).unwrap()) * rate));
        let counted = match self.bad {
            Bad::Series(series) => [(self.good, good), (series, bad_totals)],
            Bad::Outside(bucket) => [(self.good, totals), (bucket, good)],
            Bad::Late(series) => [(self.good, totals), (series, bad_totals)],
        };
        let counted = counted.map(|(series, samples)| (series.to_owned(), values(samples)));
        let others = self.others.iter().map(|series| ((*series).to_owned(), constant(0.0, steps)));
        counted.into_iter().chain([(self.noise.to_owned(), noise)]).chain(others).collect()
    }

    fn firing(&self, branch: &Branch, course: &Course, pace: Pace) -> Firing {
        let (long, bad_steps) =
            (f64::from(branch.intervals(branch.long, &self.bad)), f64::from(course.fires - course.quiet));
        let bad = bad_steps * branch.burn * self.budget;
        // What the counter of good events, which does not begin at zero, is extrapolated by.
        let left_out = f64::from(if matches!(self.bad, Bad::Series(_)) { left_out() } else { 0 });
        let share = bad / ((long - left_out - bad) * long / (long - left_out) + bad);
        let everything = branch.history + f64::from(course.quiet - 1) + bad_steps;
        let left = 1.0 - bad_steps * branch.burn / everything;
        let description = format!(
            "Impact: {} {}\nBudget left: {}",
            percent(share),
            self.impact,
            self.budget_left(left, pace),
        );
        Firing { labels: self.labels(branch.severity), summary: self.summary.to_owned(), description }
    }

    /// A whole percentage, or how many times everything is spent.
    fn budget_left(&self, left: f64, pace: Pace) -> String {
        let allowed = format!("what {} % allow in {}", self.percent, pace.either("30d", "12h"));
        let (percent, times) = ((100.0 * left).round(), 1.0 - left);
        if percent > 0.0 {
            return format!("{percent} % of {allowed}.");
        }
        let times = if times < 10.0 { format!("{times:.1}") } else { format!("{times:.0}") };
        format!("none: {allowed} is spent {times} times over.")
    }

    fn labels(&self, severity: &str) -> Vec<(&'static str, String)> {
        vec![
            ("severity", severity.to_owned()),
            ("service", self.service.to_owned()),
            ("slo", self.slo.to_owned()),
        ]
    }

    fn check(&self, step: u32, firing: Vec<Firing>) -> Check {
        Check { step: step as usize, alert: self.alert, firing }
    }

    fn case(&self, name: &str, pace: Pace, step: u32) -> Case {
        let name = format!("{}-{name}", self.alert);
        Case {
            name,
            pace,
            rules: self.service,
            step: step.into(),
            series: Vec::new(),
            checks: Vec::new(),
            fires: Vec::new(),
            values: Vec::new(),
        }
    }
}

/// Four significant digits and no zeros at the end, as C's `%.4g` has it.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let mut digits = 3;
    let mut bound = 10.0;
    while percent >= bound && digits > 0 {
        digits -= 1;
        bound *= 10.0;
    }
    let mut below = 1.0;
    while percent < below {
        digits += 1;
        below /= 10.0;
    }
    let text = format!("{percent:.digits$}");
    format!("{}%", if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
}

/// Both windows of both severities, in both paces.
fn pages_and_opens_tickets_at_the_right_step_and_stops(objective: &Objective) {
    for branch in &BRANCHES {
        let course = branch.course(&objective.bad);
        for pace in Pace::BOTH {
            let firing = objective.firing(branch, &course, pace);
            Case {
                series: objective.series(branch, &course, RATE),
                checks: vec![
                    objective.check(course.quiet, vec![]),
                    objective.check(course.fires - 1, vec![]),
                    objective.check(course.fires, vec![firing]),
                    objective.check(course.recovered, vec![]),
                ],
                ..objective.case(branch.name, pace, branch.step)
            }
            .run();
        }
    }
}

#[test]
fn orders_availability_burns() {
    pages_and_opens_tickets_at_the_right_step_and_stops(&OBJECTIVES[0]);
}

#[test]
fn orders_latency_burns() {
    pages_and_opens_tickets_at_the_right_step_and_stops(&OBJECTIVES[1]);
}

#[test]
fn redirects_availability_burns() {
    pages_and_opens_tickets_at_the_right_step_and_stops(&OBJECTIVES[2]);
}

#[test]
fn redirects_latency_burns() {
    pages_and_opens_tickets_at_the_right_step_and_stops(&OBJECTIVES[3]);
}

#[test]
fn mail_freshness_burns() {
    pages_and_opens_tickets_at_the_right_step_and_stops(&OBJECTIVES[4]);
}

#[test]
fn late_orders_burn() {
    pages_and_opens_tickets_at_the_right_step_and_stops(&OBJECTIVES[5]);
}

/// A young stack, in which everything is bad, has spent what an objective allows many times over: once the share of a percent.
#[test]
fn a_spent_budget_is_shown_as_a_multiple() {
    for objective in &OBJECTIVES {
        let Bad::Late(late) = objective.bad else { continue };
        let everything = values((0..30).map(|step| f64::from(step) * 5.0));
        let firing = Firing {
            labels: objective.labels("page"),
            summary: objective.summary.to_owned(),
            description: format!(
                "Impact: 100% {}\nBudget left: {}",
                objective.impact,
                objective.budget_left(1.0 - 1.0 / objective.budget, Pace::Drill)
            ),
        };
        let others = objective.others.iter().map(|series| ((*series).to_owned(), constant(0.0, 30)));
        let counted = [objective.good, late].map(|series| (series.to_owned(), everything.clone()));
        let ticket = Firing { labels: objective.labels("ticket"), ..firing.clone() };
        Case {
            series: counted.into_iter().chain(others).collect(),
            checks: vec![objective.check(29, vec![firing, ticket])],
            ..objective.case("spent", Pace::Drill, 1)
        }
        .run();
    }
}

/// Nothing is sent and nothing is late when every event becomes a dead letter at once.
#[test]
fn dead_letters_page_while_they_arrive() {
    let mails = &OBJECTIVES[4];
    let Bad::Late(late) = mails.bad else { panic!("mails are late") };
    let ramp = |from: u32| values((0..30).map(move |step: u32| f64::from(step.saturating_sub(from)) * 5.0));
    for pace in Pace::BOTH {
        let series = [(mails.good, ramp(0)), (late, constant(0.0, 30)), (DEAD_LETTERS, ramp(10))];
        Case {
            series: series.map(|(series, samples)| (series.to_owned(), samples)).to_vec(),
            checks: vec![mails.check(10, vec![])],
            // A sixth of what counts over the hour, which so far is 20 steps long.
            fires: [15, 29].map(|step| (step, mails.alert, "page")).into(),
            ..mails.case("dead-letters", pace, 1)
        }
        .run();
    }
}

#[test]
fn nine_bad_events_never_page() {
    let branch = &BRANCHES[0];
    for objective in &OBJECTIVES {
        let course = branch.course(&objective.bad);
        let bad_steps = f64::from(course.last_bad - course.quiet);
        for pace in Pace::BOTH {
            let rate = 9.0 / (bad_steps * branch.burn * objective.budget);
            let checks =
                (course.quiet..=course.recovered).map(|step| objective.check(step, vec![])).collect();
            let series = objective.series(branch, &course, rate);
            Case { series, checks, ..objective.case("floor", pace, 1) }.run();
        }
    }
}

#[test]
fn missing_traffic_fires_no_alert() {
    for objective in &OBJECTIVES {
        let series = match objective.bad {
            Bad::Series(series) | Bad::Outside(series) | Bad::Late(series) => series,
        };
        let series = [objective.good, series].into_iter().chain(objective.others.iter().copied());
        let mut idle: Vec<_> = series.map(|series| (series.to_owned(), constant(7.0, 60))).collect();
        idle.push((objective.up(), constant(1.0, 60)));
        for pace in Pace::BOTH {
            let checks = (1..60).flat_map(|step| {
                [
                    objective.check(step, vec![]),
                    Check { alert: "SliVanished", ..objective.check(step, vec![]) },
                ]
            });
            Case { series: idle.clone(), checks: checks.collect(), ..objective.case("idle", pace, 1) }.run();
        }
    }
}

/// The last sample before an objective is lost, and the first after that.
const LAST: usize = 20;
const BACK: usize = 40;

impl Objective {
    /// Series in which the one of bad events is missing for a while.
    fn lost_for_a_while(&self) -> Vec<(String, Vec<Sample>)> {
        let lost = match self.bad {
            Bad::Series(series) | Bad::Outside(series) | Bad::Late(series) => series,
        };
        let mut samples = constant(7.0, LAST + 1);
        samples.extend([Sample::Stale].repeat(BACK - LAST - 1));
        samples.extend(constant(7.0, 20));
        let others = self.others.iter().chain([&self.good]).map(|series| (*series, constant(7.0, 60)));
        others.chain([(lost, samples)]).map(|(series, samples)| (series.to_owned(), samples)).collect()
    }

    fn up(&self) -> String {
        format!("up{{job=\"{}\",instance=\"a\"}}", self.service)
    }
}

#[test]
fn an_unmeasured_objective_opens_a_ticket() {
    // Two samples are in five minutes until four steps after the last one; ten minutes after that the alert fires.
    let fires = LAST + 5 + 10 - left_out() as usize;
    for objective in &OBJECTIVES {
        let mut series = objective.lost_for_a_while();
        series.push((objective.up(), constant(1.0, 60)));
        let firing = Firing {
            labels: objective.labels("ticket"),
            summary: format!("{} of {} is not measured", objective.slo, objective.service),
            description: format!(
                "Impact: the quality of {} for its users is unknown; this objective cannot page.\nBudget left: unknown.",
                objective.service
            ),
        };
        let check = |step, firing| Check { step, alert: "SliVanished", firing };
        for pace in Pace::BOTH {
            let checks =
                vec![check(fires - 1, vec![]), check(fires, vec![firing.clone()]), check(BACK + 1, vec![])];
            Case { series: series.clone(), checks, ..objective.case("vanished", pace, 1) }.run();
        }
    }
}

#[test]
fn a_service_that_is_down_fires_no_sli_vanished() {
    for objective in &OBJECTIVES {
        let mut up = constant(1.0, 60);
        up[LAST + 1..BACK].fill(Sample::Value(0.0));
        let mut series = objective.lost_for_a_while();
        series.push((objective.up(), up));
        for pace in Pace::BOTH {
            let checks = (1..60).map(|step| Check { step, alert: "SliVanished", firing: vec![] });
            let checks = checks.collect();
            Case { series: series.clone(), checks, ..objective.case("down", pace, 1) }.run();
        }
    }
}
