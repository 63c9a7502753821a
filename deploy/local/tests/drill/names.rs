//! Parses selectors in `PromQL` expressions and series in the text of `/metrics`, as far as a comparison needs it.

/// Keywords of `PromQL` without a parenthesis behind them, such as `sum` in `sum by (job) (…)`.
const WORDS: [&str; 13] =
    ["and", "or", "unless", "by", "without", "on", "ignoring", "offset", "sum", "max", "min", "count", "avg"];

/// A series of a service, with the label `job` that Prometheus adds.
#[derive(Debug)]
pub(crate) struct Series {
    name: String,
    labels: Vec<Matcher>,
}

/// A metric name with label matchers.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) name: String,
    matchers: Vec<Matcher>,
}

/// `label="value"`, where the equals sign may be another operator.
#[derive(Debug)]
struct Matcher {
    label: String,
    operator: String,
    value: String,
}

impl Selector {
    /// Whether a series has the name, every label, and the values of `=` matchers; regular expressions are not evaluated.
    pub(crate) fn may_select(&self, series: &Series) -> bool {
        self.name == series.name
            && self.matchers.iter().all(|matcher| {
                series.labels.iter().any(|label| {
                    label.label == matcher.label && (matcher.operator != "=" || label.value == matcher.value)
                })
            })
    }
}

/// Parses the text of `/metrics`.
pub(crate) fn series(job: &str, text: &str) -> Vec<Series> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let series = lines.filter_map(|line| {
        let (name, rest) = identifier(line)?;
        let (mut labels, _) = matchers(rest);
        labels.push(Matcher { label: "job".to_owned(), operator: "=".to_owned(), value: job.to_owned() });
        Some(Series { name: name.to_owned(), labels })
    });
    series.collect()
}

/// Finds every selector in the `expr` of a rule file.
pub(crate) fn selectors(rules: &str) -> Vec<Selector> {
    expressions(rules).iter().flat_map(|expression| in_expression(expression)).collect()
}

/// The values of `expr`: on the same line, or indented below it.
fn expressions(rules: &str) -> Vec<String> {
    let mut expressions = Vec::new();
    let mut lines = rules.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("    expr:") else { continue };
        let mut expression = first.trim_start_matches([' ', '|', '-', '>']).to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with("      ") || line.is_empty()) {
            expression.push(' ');
            expression.push_str(more.trim());
        }
        expressions.push(expression.trim_matches('\'').to_owned());
    }
    expressions
}

fn in_expression(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(character) = rest.chars().next() {
        if let Some((name, after)) = identifier(rest) {
            let next = after.trim_start();
            rest = after;
            if ["by", "without", "on", "ignoring"].contains(&name) {
                rest = next.split_once(')').map_or("", |(_, after)| after);
            } else if !next.starts_with('(') && !WORDS.contains(&name) {
                let (matchers, after) = matchers(next);
                found.push(Selector { name: name.to_owned(), matchers });
                rest = after;
            }
        } else if character == '[' {
            rest = rest.split_once(']').map_or("", |(_, after)| after);
        } else if character.is_ascii_digit() {
            rest = rest
                .trim_start_matches(|character: char| character.is_ascii_alphanumeric() || character == '.');
        } else {
            rest = rest.get(character.len_utf8()..).unwrap();
        }
    }
    found
}

/// A name at the beginning of a text, and what follows.
fn identifier(text: &str) -> Option<(&str, &str)> {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_').then(|| {
        let end =
            text.find(|character: char| !character.is_ascii_alphanumeric() && !"_:".contains(character));
        text.split_at(end.unwrap_or(text.len()))
    })
}

/// What stands in braces at the beginning of a text, and what follows. Values may hold braces and commas.
fn matchers(text: &str) -> (Vec<Matcher>, &str) {
    let mut matchers = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (matchers, text) };
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        let Some((label, after)) = identifier(rest) else { break };
        let (operator, after) = after.split_once('"').unwrap();
        let (value, after) = after.split_once('"').unwrap();
        let [label, operator, value] = [label, operator, value].map(str::to_owned);
        matchers.push(Matcher { label, operator, value });
        rest = after;
    }
    (matchers, rest.strip_prefix('}').unwrap())
}

#[test]
fn the_parser_finds_selectors_and_series() {
    let rules = "\
- record: a:b
    expr: |-
      (sum by (job, topic) (rate(x_total{job=\"orders\", route=\"/{code}\", status=~\"5..\"}[5m])) * 300
      and max(y offset 10m) > 14.4 * 0.001) or absent(a:b{slo=\"one\"})
    labels:
      x: y
";
    let found: Vec<_> = selectors(rules).into_iter().map(|selector| selector.name).collect();
    assert_eq!(found, ["x_total", "y", "a:b"]);
    let x = &selectors(rules)[0];
    let parsed = |line| series("orders", line).remove(0);
    assert!(x.may_select(&parsed("x_total{route=\"/{code}\",status=\"503\"} 1")));
    for other in ["x_total{route=\"/{code}\"} 1", "x_total{route=\"/\",status=\"503\"} 1", "z{} 1"] {
        assert!(!x.may_select(&parsed(other)), "{other}");
    }
}
