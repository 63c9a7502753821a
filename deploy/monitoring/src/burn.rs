//! Multi-window, multi-burn-rate alerts from an objective (Google's SRE workbook, chapter 5, and Sloth), and their recording rules.
//!
//! An alert needs a high burn rate over a long window, which shows relevance, and over a short window, which shows that it continues. It
//! also needs [`FLOOR`] bad events: a ratio of few events means little.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};

use crate::{
    rules::{Alert, Group, Groups, Rule, select_bounds},
    spec::{Annotations, Slo, Spec},
    window::{Profile, Window},
};

const HOUR: u64 = 60;
const DAY: u64 = 24 * HOUR;

/// The windows of recorded error ratios, in minutes.
const FAST: [u64; 5] = [5, 30, HOUR, 2 * HOUR, 6 * HOUR];

/// Windows that are evaluated less often: frequent evaluation of three days of samples brings nothing.
const SLOW: [u64; 2] = [DAY, 3 * DAY];

/// The evaluation interval of slow windows: below the lookback delta of Prometheus, five minutes.
const SLOW_INTERVAL: Window = Window::minutes(2);

/// The period of an error budget.
const PERIOD: Window = Window::minutes(30 * DAY);

/// Minimum of bad events in the long window for an alert.
pub const FLOOR: u32 = 10;

/// The time without measurement after which `SliVanished` fires.
const VANISHED: Window = Window::minutes(10);

/// The time without a successful scrape after which a service counts as down: more than two of the longest scrape intervals.
const MISSED_SCRAPE: Window = Window::minutes(3);

/// A burn rate with the names of its windows. At burn rate 1 the budget lasts exactly for the period.
struct Burn {
    factor: &'static str,
    long: &'static str,
    short: &'static str,
}

/// 2 % of the budget in an hour, or 5 % in six.
const PAGE: [Burn; 2] =
    [Burn { factor: "14.4", long: "1h", short: "5m" }, Burn { factor: "6", long: "6h", short: "30m" }];

/// 10 % of the budget in a day, or in three.
const TICKET: [Burn; 2] =
    [Burn { factor: "3", long: "1d", short: "2h" }, Burn { factor: "1", long: "3d", short: "6h" }];

/// Generates the rules of one service.
pub(crate) fn groups(spec: Spec, profile: Profile) -> anyhow::Result<Groups> {
    let mut groups = Vec::new();
    for slo in &spec.slos {
        ensure_reachable(slo)?;
        let objective = Objective { service: &spec.service, slo, profile };
        groups.push(objective.slow_group());
        groups.push(objective.fast_group());
    }
    Ok(Groups { groups })
}

/// Refuses an objective whose fastest page cannot fire: its error ratio would have to exceed 1.
fn ensure_reachable(slo: &Slo) -> anyhow::Result<()> {
    ensure!(slo.objective < 100.0, "{}: an objective is a percentage below 100", slo.name);
    let factor: f64 = PAGE[0].factor.parse().context("a factor is a number")?;
    let share = factor * (100.0 - slo.objective) / 100.0;
    ensure!(
        share < 1.0,
        "{}: an objective of {} % pages when more than {:.0} % of events are bad, so never; it must be above {:.2} %",
        slo.name,
        slo.objective,
        share * 100.0,
        100.0 - 100.0 / factor
    );
    Ok(())
}

/// One objective and the profile of its rules.
struct Objective<'a> {
    service: &'a str,
    slo: &'a Slo,
    profile: Profile,
}

impl Objective<'_> {
    fn slow_group(&self) -> Group {
        let mut rules: Vec<_> = SLOW.into_iter().flat_map(|minutes| self.records(minutes)).collect();
        rules.push(self.record("slo:error_budget_left:ratio", self.budget_left()));
        Group {
            name: format!("{}-{}-slow", self.service, self.slo.name),
            interval: Some(self.profile.scale(SLOW_INTERVAL).to_string()),
            rules,
        }
    }

    fn fast_group(&self) -> Group {
        let mut rules: Vec<_> = FAST.into_iter().flat_map(|minutes| self.records(minutes)).collect();
        rules.push(self.burn_alert(&PAGE, &self.slo.alerting.page_alert.labels));
        rules.push(self.burn_alert(&TICKET, &self.slo.alerting.ticket_alert.labels));
        rules.push(self.vanished_alert());
        Group { name: format!("{}-{}", self.service, self.slo.name), interval: None, rules }
    }

    /// Records the error ratio over a window and, for the long window of an alert, the number of errors.
    ///
    /// The rules of every profile have the names of production, so that dashboards and runbooks work with both.
    fn records(&self, minutes: u64) -> Vec<Rule> {
        let name = Window::minutes(minutes).to_string();
        let window = self.profile.scale(Window::minutes(minutes));
        let (errors, total) = self.queries(window);
        let mut rules =
            vec![self.record(&format!("slo:error_ratio:rate{name}"), format!("({errors})\n/\n({total})"))];
        if PAGE.iter().chain(&TICKET).any(|burn| burn.long == name) {
            let number = format!("({errors})\n* {}", window.seconds());
            rules.push(self.record(&format!("slo:errors:increase{name}"), number));
        }
        rules
    }

    fn budget_left(&self) -> String {
        let (errors, total) = self.queries(self.profile.scale(PERIOD));
        format!("1 - ({errors})\n/\n({total})\n/ {}", self.budget())
    }

    fn queries(&self, window: Window) -> (String, String) {
        let over = |query: &str| select_bounds(&query.trim().replace("{{.window}}", &window.to_string()));
        let events = &self.slo.sli.events;
        (over(&events.error_query), over(&events.total_query))
    }

    /// The error budget as a ratio, rounded to decimal digits.
    fn budget(&self) -> String {
        let budget = format!("{:.8}", (100.0 - self.slo.objective) / 100.0);
        budget.trim_end_matches('0').to_owned()
    }

    fn record(&self, name: &str, expr: String) -> Rule {
        Rule::Record { name: name.to_owned(), expr, labels: self.labels() }
    }

    fn burn_alert(&self, burns: &[Burn], severity: &BTreeMap<String, String>) -> Rule {
        let (selector, budget) = (self.selector(), self.budget());
        let condition = |burn: &Burn| {
            let Burn { factor, long, short } = burn;
            format!(
                "(\n  slo:error_ratio:rate{long}{selector} > {factor} * {budget}\n  \
                 and slo:error_ratio:rate{short}{selector} > {factor} * {budget}\n  \
                 and slo:errors:increase{long}{selector} >= {FLOOR}\n)"
            )
        };
        let conditions: Vec<_> = burns.iter().map(condition).collect();
        let Annotations { summary, impact } = &self.slo.alerting.annotations;
        self.alert(Alert {
            name: self.slo.alerting.name.clone(),
            expr: conditions.join("\nor\n"),
            pending: None,
            labels: severity.clone(),
            annotations: annotations(summary.clone(), impact, &self.budget_sentence()),
        })
    }

    fn vanished_alert(&self) -> Rule {
        let (service, gap) = (self.service, self.profile.scale(MISSED_SCRAPE));
        let impact =
            format!("the quality of {service} for its users is unknown; this objective cannot page.");
        self.alert(Alert {
            name: "SliVanished".to_owned(),
            // TargetDown fires for a service that is down. One failed scrape does not count as down.
            expr: format!(
                "absent(slo:error_ratio:rate5m{})\nand on() max(max_over_time(up{{job=\"{service}\"}}[{gap}])) == 1",
                self.selector(),
            ),
            pending: Some(self.profile.scale(VANISHED).to_string()),
            labels: BTreeMap::from([("severity".to_owned(), "ticket".to_owned())]),
            annotations: annotations(
                format!("{} of {service} is not measured", self.slo.name),
                &impact,
                "unknown.",
            ),
        })
    }

    fn alert(&self, mut alert: Alert) -> Rule {
        alert.labels.extend(self.labels());
        Rule::Alert(alert.with_runbook())
    }

    fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("service".to_owned(), self.service.to_owned()),
            ("slo".to_owned(), self.slo.name.clone()),
        ])
    }

    fn selector(&self) -> String {
        format!("{{service=\"{}\", slo=\"{}\"}}", self.service, self.slo.name)
    }

    /// A template for the remaining budget, or for how many times it is spent, evaluated with the alert. Without fractions of a percent and
    /// negative shares. An objective of 99.95 % can be spent 2000 times at most.
    fn budget_sentence(&self) -> String {
        let left = format!("slo:error_budget_left:ratio{}", self.selector());
        let allowed = format!("{} % allow in {}", self.slo.objective, self.profile.scale(PERIOD));
        let spent = "{{ $times := . | first | value }}{{ if lt $times 10.0 }}{{ printf \"%.1f\" $times }}{{ else }}{{ printf \"%.0f\" $times }}{{ end }}";
        format!(
            "{{{{ with query `round(100 * {left}) > 0` }}}}{{{{ . | first | value | printf \"%.0f\" }}}} % of what {allowed}.\
             {{{{ else }}}}{{{{ with query `1 - {left} >= 0` }}}}none: what {allowed} is spent {spent} times over.\
             {{{{ else }}}}not known yet.{{{{ end }}}}{{{{ end }}}}"
        )
    }
}

fn annotations(summary: String, impact: &str, budget_left: &str) -> BTreeMap<String, String> {
    let description = format!("Impact: {impact}\nBudget left: {budget_left}");
    BTreeMap::from([("summary".to_owned(), summary), ("description".to_owned(), description)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "
version: prometheus/v1
service: s
slos:
  - name: n
    objective: OBJECTIVE
    description: d
    sli: { events: { error_query: 'bad[{{.window}}]', total_query: 'all{le=\"60\"}[{{.window}}]' } }
    alerting:
      name: NBurn
      annotations: { summary: s, impact: i }
      page_alert: { labels: { severity: page } }
      ticket_alert: { labels: { severity: ticket } }
";

    fn made(objective: &str) -> anyhow::Result<String> {
        let spec = serde_norway::from_str(&SPEC.replace("OBJECTIVE", objective))?;
        Ok(serde_norway::to_string(&groups(spec, Profile::Production)?)?)
    }

    #[test]
    fn an_objective_whose_page_cannot_fire_is_refused() {
        for (objective, says) in [("93", "above 93.06 %"), ("50", "720 %"), ("100", "below 100")] {
            let error = made(objective).unwrap_err().to_string();
            assert!(error.contains(says), "{objective}: {error}");
        }
        assert!(made("93.1").is_ok());
    }

    #[test]
    fn an_integer_bucket_bound_is_selected_as_prometheus_2_and_3_store_it() {
        assert!(made("99").unwrap().contains(r#"all{le=~"60|60[.]0"}[5m]"#));
    }
}
