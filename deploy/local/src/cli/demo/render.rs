//! A trace and an HTML page as text on the terminal.

use std::collections::{BTreeMap, BTreeSet};

use loadtest::traces::Span;

/// Elements that begin a new line.
const LINE_STARTERS: [&str; 8] = ["h1", "h2", "p", "tr", "li", "time", "br", "div"];

/// Returns the visible text of a page, line by line, without blank lines.
///
/// It supports the pages of Muster, which have no scripts and no `<` in attributes.
pub(super) fn visible_text(html: &str) -> Vec<String> {
    let body = html.split_once("<body").map_or(html, |(_, body)| body);
    let mut text = String::new();
    for piece in body.split('<').skip(1) {
        let (tag, content) = piece.split_once('>').unwrap_or((piece, ""));
        let name = tag.split_whitespace().next().unwrap_or_default();
        text.push_str(if LINE_STARTERS.contains(&name) { "\n" } else { " " });
        text.push_str(&content.replace('\n', " "));
    }
    text.lines().map(unescape).filter(|line| !line.is_empty()).collect()
}

fn unescape(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// Returns the spans as lines of a tree: start, duration, service, operation.
pub(super) fn tree(spans: &[Span]) -> Vec<String> {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let started_at = spans.iter().map(|span| span.timestamp).min().unwrap_or_default();
    let mut children: BTreeMap<Option<&str>, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        // The parent of the first span is the client, which reports no span.
        let parent = span.parent_id.as_deref().filter(|parent| ids.contains(parent));
        children.entry(parent).or_default().push(span);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|span| (span.timestamp, &span.id));
    }
    let mut lines = vec!["     start   duration  service".to_owned()];
    append(&mut lines, &mut children, None, started_at, 0);
    lines
}

/// Removes each span's children from the map, so that it ends even if ids form a cycle.
fn append<'a>(
    lines: &mut Vec<String>,
    children: &mut BTreeMap<Option<&'a str>, Vec<&'a Span>>,
    parent: Option<&'a str>,
    started_at: u64,
    depth: usize,
) {
    for span in children.remove(&parent).unwrap_or_default() {
        let (name, service, indent) = (&span.name, span.service(), "  ".repeat(depth));
        let (start, duration) = (milliseconds(span.timestamp - started_at), milliseconds(span.duration));
        let kind = span.kind.as_deref().map(|kind| format!(" [{}]", kind.to_lowercase())).unwrap_or_default();
        let error = span.tags.get("error").map(|error| format!("  error: {error}")).unwrap_or_default();
        lines.push(format!("{start:>10} {duration:>10}  {service:<15} {indent}{name}{kind}{error}"));
        append(lines, children, Some(&span.id), started_at, depth + 1);
    }
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use loadtest::traces::{Endpoint, services};

    use super::*;

    #[test]
    fn only_the_visible_text_of_a_page_remains() {
        let html = "<html><head><style>h1 { color: red }</style></head><body>\n\
                    <h1 class=\"confirmed\">Your order\n is confirmed</h1>\
                    <table><tr><td>Salt &amp; tea</td><td>2</td></tr></table></body></html>";
        assert_eq!(visible_text(html), ["Your order is confirmed", "Salt & tea 2"]);
    }

    fn span(id: &str, parent: Option<&str>, service: &str, timestamp: u64) -> Span {
        Span {
            id: id.to_owned(),
            parent_id: parent.map(str::to_owned),
            name: format!("do {id}"),
            timestamp,
            duration: 1500,
            local_endpoint: Endpoint { service_name: service.to_owned() },
            ..Span::default()
        }
    }

    #[test]
    fn spans_appear_below_their_parents_ordered_by_start() {
        let spans = [
            span("late", Some("first"), "email-consumer", 3_000_000),
            span("early", Some("first"), "orders", 2_000_000),
            span("inner", Some("early"), "orders", 2_000_500),
            span("first", Some("the client"), "orders", 1_000_000),
        ];
        assert_eq!(
            tree(&spans)[1..],
            [
                "    0.0 ms     1.5 ms  orders          do first",
                " 1000.0 ms     1.5 ms  orders            do early",
                " 1000.5 ms     1.5 ms  orders              do inner",
                " 2000.0 ms     1.5 ms  email-consumer    do late",
            ]
        );
        assert_eq!(services(&spans), BTreeSet::from(["email-consumer", "orders"]));
    }
}
